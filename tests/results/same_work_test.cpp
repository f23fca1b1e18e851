// Runs that did different work are no result together: benchmark, division, variant, form, batch, configuration.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "results/result_folder.h"
#include "timetrial/results/score.h"

namespace timetrial::results {
namespace {

using test::ResultFolder;
using test::SampleLog;

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

constexpr size_t kOdd = 3;  // the run that differs

std::string first(const std::vector<std::string>& lines) { return lines.empty() ? "" : lines.front(); }

// Ten sound runs, all bent by `all`, one of them by `odd` as well.
Score score_of(const std::function<void(SampleLog&)>& all, const std::function<void(SampleLog&)>& odd) {
  const ResultFolder folder;
  for (size_t i = 0; i < 10; ++i) {
    SampleLog log = test::log_of({.run_ms = 600000 + 60000 * static_cast<int64_t>(i), .seed = static_cast<int64_t>(i)});
    all(log);
    if (i == kOdd) odd(log);
    folder.put(i, log);
  }
  return score_folder(folder.path());
}

void none(SampleLog& /*log*/) {}
void own(SampleLog& log) { test::make_own(log); }
void open(SampleLog& log) { test::find(log, "submission_division").value = "open"; }
// A small variant: one rule scaled.
void small(SampleLog& log) {
  test::make_own(log, "small");
  test::find(log, "eval_samples").value = 32;
  test::insert_before(log, "init_stop",
                      {"timetrial_scaled_rule", {{"key", "eval_samples"}, {"description", "s"}, {"expected", 32}}});
}
std::function<void(SampleLog&)> with(const std::string& key, const Json& value) {
  return [=](SampleLog& log) { test::find(log, key).value = value; };
}

void expect_refused(const Score& score, std::string_view what) {
  EXPECT_FALSE(score.passed());
  EXPECT_FALSE(score.minutes) << "a time of runs that are no result together";
  EXPECT_FALSE(score.mean_minutes);
  EXPECT_FALSE(score.steps);
  EXPECT_TRUE(holds(first(score.problems), what)) << first(score.problems);
  EXPECT_TRUE(holds(first(score.problems), "result_3.txt")) << first(score.problems);
  EXPECT_TRUE(holds(score.sentence(), what)) << score.sentence();
}

TEST(SameWork, RunsOfOneConfigurationAreAResult) {
  EXPECT_TRUE(score_of(none, none).passed());
  EXPECT_TRUE(score_of(own, none).passed());
  EXPECT_TRUE(score_of(small, none).passed());
}

TEST(SameWork, FormsVariantsAndConfigurationsAreNotAveraged) {
  expect_refused(score_of(own, with("timetrial_form", "reference")), "different forms");
  expect_refused(score_of(own, with("timetrial_variant", "custom")), "different variants");
  expect_refused(score_of(own, with("timetrial_config_hash", "4567")), "different configurations");
  const Score score = score_of(own, with("timetrial_form", "reference"));
  EXPECT_TRUE(holds(first(score.problems), "submitted (result_0.txt and 8 more), reference (result_3.txt)"))
      << first(score.problems);
}

TEST(SameWork, NorAreLogsOfAnotherProgramBesideOurs) {
  expect_refused(score_of(none, own), "different variants");
  const auto remove_form = [](SampleLog& log) { test::remove(log, "timetrial_form"); };
  const Score score = score_of(own, remove_form);
  expect_refused(score, "different forms");
  EXPECT_TRUE(holds(first(score.problems), "none named (result_3.txt)")) << first(score.problems);
}

// One log that broke off may take the slowest run's place; what it did not come to say is no contradiction.
TEST(SameWork, ALogThatBreaksTheRulesNeedNotSayEverything) {
  const auto broken_off = [](SampleLog& log) { log.resize(10); };
  EXPECT_TRUE(holds(first(score_of(own, broken_off).notes), "takes the place of the slowest run"));
  for (const std::string& problem : score_of(own, broken_off).problems)
    EXPECT_FALSE(holds(problem, "different")) << problem;
  const auto broken_other = [](SampleLog& log) {
    test::find(log, "opt_name").value = "sgd";
    test::find(log, "timetrial_form").value = "reference";
  };
  expect_refused(score_of(own, broken_other), "different forms");
}

TEST(SameWork, SmallVariantsAreComparedToo) {
  expect_refused(score_of(small, with("timetrial_form", "reference")), "different forms");
  expect_refused(score_of(small, with("timetrial_config_hash", "4567")), "different configurations");
  expect_refused(score_of(small, with("global_batch_size", 32)), "different global batch sizes");
  expect_refused(score_of(small, with("submission_benchmark", "llama31_8b")), "different benchmarks");
}

TEST(SameWork, DivisionsAreNotMixed) {
  expect_refused(score_of(none, open), "different divisions");
  expect_refused(score_of(open, with("submission_division", "closed")), "different divisions");
}

TEST(SameWork, BenchmarksAreNotMixedInTheOpenDivisionEither) {
  const auto other = [](SampleLog& log) { test::find(log, "submission_benchmark").value = "llama31_8b"; };
  expect_refused(score_of(open, other), "different benchmarks");
}

}  // namespace
}  // namespace timetrial::results
