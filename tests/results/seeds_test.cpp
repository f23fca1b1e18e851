// Seeds of a result: what counts as an integer, what as the same seed, and what the score makes of it.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/seeds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "results/result_folder.h"
#include "timetrial/results/score.h"

namespace timetrial::results {
namespace {

using test::ResultFolder;
using test::SampleLog;

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

SeedRecord seed(const Json& value, const Json& file = "train.py", const Json& line = 7) {
  return {3, value, {{"file", file}, {"lineno", line}}};
}

bool accepts(const Json& value) { return judge_seeds({{{seed(value)}, ""}}, {"a"}).passed(); }

bool same(const SeedRecord& one, const SeedRecord& other) {
  return !judge_seeds({{{one}, ""}, {{other}, ""}}, {"a", "b"}).passed();
}

TEST(Seeds, WhatPythonTakesForAnInteger) {
  for (const Json& value : {Json(0), Json(-3), Json(12.7), Json(true), Json(" +12\n"), Json("1_000"), Json("007"),
                            Json(1e300), Json(std::string(4300, '1'))})
    EXPECT_TRUE(accepts(value)) << value;
  for (const Json& value : {Json(nullptr), Json("12.0"), Json(""), Json("-"), Json("1__0"), Json("_1"), Json("1_"),
                            Json("0x1"), Json(NAN), Json(-INFINITY), Json::array({1}), Json::object(), Json("1 2"),
                            Json("\x1f"
                                 "5"),
                            Json(std::string(4301, '1'))})
    EXPECT_FALSE(accepts(value)) << value;
}

TEST(Seeds, TheSameSeedIsOneOfTheSameValueAndPlace) {
  EXPECT_TRUE(same(seed(5), seed(5)));
  EXPECT_FALSE(same(seed(5), seed(6)));
  EXPECT_FALSE(same(seed(5), seed(5, "other.py")));
  EXPECT_FALSE(same(seed(5), seed(5, "train.py", 8)));
  for (const Json& alike : {Json(5.9), Json("5"), Json(" 05 ")}) EXPECT_TRUE(same(seed(5), seed(alike))) << alike;
  EXPECT_TRUE(same(seed("-0"), seed(false)));
  EXPECT_TRUE(same(seed(5, "train.py", 1), seed(5, "train.py", true)));
  EXPECT_TRUE(same(seed(5, "train.py", 7.0), seed(5)));
  EXPECT_TRUE(same(seed(5, nullptr, nullptr), seed(5, nullptr, nullptr)));
  EXPECT_FALSE(same(seed(5, "train.py", "7"), seed(5)));
  EXPECT_FALSE(same(seed(5, "train.py", 7.5), seed(5)));
  EXPECT_TRUE(same(seed(5, "train.py", NAN), seed(5, "train.py", NAN)));
}

TEST(Seeds, ProblemsNameTheLogs) {
  const SeedVerdict verdict = judge_seeds({{{seed(5)}, ""},
                                           {{}, ""},
                                           {{seed(5)}, ""},
                                           {{seed("x")}, ""},
                                           {{seed(6)}, "line 9: cut off"},
                                           {{{4, 7, {}}}, ""},
                                           {{seed(8), seed(8)}, ""}},
                                          {"a", "b", "c", "d", "e", "f", "g"});
  const std::vector<std::string> expected = {
      "b: logs no seed",
      "d: seed \"x\" on line 3 is no integer",
      "e: its seeds do not count, because a record cannot be read (line 9: cut off)",
      "f: seed 7 on line 4 does not say where it was logged (metadata.file and metadata.lineno), by which seeds are "
      "told "
      "apart",
      "every run has a seed of its own, and seed 5 (train.py:7) is that of a, c",
      "g logs seed 8 (train.py:7) 2 times; log it from one rank only"};
  EXPECT_EQ(verdict.problems, expected);
  EXPECT_EQ(verdict.notes, std::vector<std::string>{"g logs 2 seeds; one is enough"});
}

// Ten sound runs; run 4 is bent.
template <typename Bend>
Score score_of(const Bend& bend, const ScoreOptions& options = {}, const std::string& parameters = "") {
  const ResultFolder folder;
  for (size_t i = 0; i < 10; ++i) {
    SampleLog log = test::log_of({.seed = static_cast<int64_t>(i)});
    bend(log, i);
    folder.put(i, log);
  }
  if (!parameters.empty()) folder.write_file("package_checker_params", parameters);
  return score_folder(folder.path(), options);
}

void same_seed(SampleLog& log, size_t i) {
  if (i == 4) test::find(log, "seed").value = 3;
}

TEST(Seeds, AResultWithARepeatedSeedIsNoScore) {
  EXPECT_TRUE(score_of([](SampleLog&, size_t) {}).passed());
  const Score repeated = score_of(same_seed);
  EXPECT_FALSE(repeated.passed());
  EXPECT_TRUE(holds(repeated.sentence(), "seed 3 (train.py:7) is that of result_3.txt, result_4.txt"))
      << repeated.sentence();
  EXPECT_FALSE(repeated.to_json()["seeds"]["passed"].get<bool>());
  EXPECT_FALSE(score_of([](SampleLog& log, size_t i) {
                 if (i == 4) test::remove(log, "seed");
               }).passed());
}

TEST(Seeds, TheBypassesAreTheOfficialOnes) {
  EXPECT_TRUE(score_of(same_seed, {.seed_bypass = true}).passed());
  EXPECT_FALSE(score_of(same_seed, {.bypass = true}).passed());
  const Score accepted = score_of(same_seed, {}, "seed-checker-bypass");
  EXPECT_TRUE(accepted.passed());
  ASSERT_FALSE(accepted.notes.empty());
  EXPECT_TRUE(holds(accepted.notes[0], "accepted by the bypass: every run")) << accepted.notes[0];
  const Score overlooked = score_of(same_seed, {}, "seed-checker-bypass\n");
  EXPECT_FALSE(overlooked.passed());
  EXPECT_TRUE(std::any_of(overlooked.notes.begin(), overlooked.notes.end(),
                          [](const std::string& note) { return holds(note, "seed-checker-bypass with a line end"); }));
}

TEST(Seeds, TheOpenDivisionMayRepeatThem) {
  const Score score = score_of([](SampleLog& log, size_t i) {
    same_seed(log, i);
    test::find(log, "submission_division").value = "open";
  });
  EXPECT_TRUE(score.passed()) << score.sentence();
  EXPECT_FALSE(score.seeds.passed());
}

}  // namespace
}  // namespace timetrial::results
