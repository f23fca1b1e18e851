// Who differs, in words.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/same_start.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial::launch {
namespace {

std::vector<RankStart> ranks(const std::vector<std::vector<std::string>>& values) {
  std::vector<RankStart> all;
  for (size_t rank = 0; rank < values.size(); ++rank)
    all.push_back(
        {.host = rank < 2 ? "n1" : "n2", .facts = {{"program", values[rank][0]}, {"corpus.idx", values[rank][1]}}});
  return all;
}

std::string sentence(const std::vector<RankStart>& all) { return text_of(start_difference(all), all); }

TEST(SameStart, EqualRanksAgree) { EXPECT_EQ(start_difference(ranks({{"a", "x"}, {"a", "x"}, {"a", "x"}})).what, ""); }

TEST(SameStart, NamesTheSmallerCamp) {
  EXPECT_EQ(sentence(ranks({{"a", "x"}, {"b", "x"}, {"a", "x"}, {"a", "x"}})),
            "rank 1 on host n1 has another program (b) than ranks 0, 2 and 3 (a)");
  EXPECT_EQ(sentence(ranks({{"a", "x"}, {"a", "x"}, {"b", "x"}, {"b", "x"}})),
            "ranks 2 and 3 on host n2 have another program (b) than ranks 0 and 1 (a)");
  EXPECT_EQ(sentence(ranks({{"b", "x"}, {"a", "x"}, {"a", "x"}, {"c", "x"}})),
            "rank 3 on host n2 has another program (c) than ranks 1 and 2 (a)");
}

TEST(SameStart, WhoDoesNotLookDoesNotDiffer) {
  EXPECT_EQ(start_difference(ranks({{"a", "x"}, {"a", ""}, {"a", "x"}, {"a", ""}})).what, "");
  EXPECT_EQ(sentence(ranks({{"a", "x"}, {"a", ""}, {"a", "y"}, {"a", ""}})),
            "rank 2 on host n2 has another corpus.idx (y) than rank 0 (x)");
}

TEST(SameStart, OtherFactsAreABug) {
  auto all = ranks({{"a", "x"}, {"a", "x"}});
  all[1].facts[1].what = "other";
  EXPECT_THROW(start_difference(all), Error);
  all[1].facts.pop_back();
  EXPECT_THROW(start_difference(all), Error);
}

// Facts of ranks and of hosts; data.idx is looked at where `data` is not empty.
RankStart start_of(const std::string& program, const std::string& data) {
  return {.host = "n1",
          .facts = {{"program", program}, {"MPI", "4"}, {"data.idx", data, true}, {"data.bin", data, true}}};
}

bool agree_in_brief(const std::vector<RankStart>& all) {
  std::vector<RankStart> briefs;
  for (const RankStart& start : all) briefs.push_back(brief(start));
  return start_difference(briefs).what.empty();
}

TEST(SameStart, AgreesInBriefWhereItAgrees) {
  EXPECT_TRUE(agree_in_brief({start_of("a", "x"), start_of("a", ""), start_of("a", "x")}));
  EXPECT_FALSE(agree_in_brief({start_of("a", "x"), start_of("b", "")}));
  EXPECT_FALSE(agree_in_brief({start_of("a", "x"), start_of("a", ""), start_of("a", "y")}));
  EXPECT_LT(text_of(brief(start_of(std::string(1000, 'a'), "x"))).size(), 128U);
  RankStart moved = start_of("a", "x");
  std::swap(moved.facts[0].value, moved.facts[1].value);
  EXPECT_FALSE(agree_in_brief({start_of("a", "x"), moved})) << "the same values under other names";
}

TEST(SameStart, TravelsAsText) {
  const RankStart start{.host = "n\"1", .facts = {{"program", "ab"}, {"ü.idx", ""}}};
  const RankStart back = start_from(text_of(start));
  EXPECT_EQ(back.host, start.host);
  ASSERT_EQ(back.facts.size(), 2U);
  EXPECT_EQ(back.facts[1].what, "ü.idx");
  EXPECT_EQ(back.facts[0].value, "ab");
  EXPECT_THROW(start_from("{}"), Error);
}

TEST(KeyDifference, NamesTheFirstKeyAndBothValues) {
  const Json one{{"train", {{"batch", 8}, {"rate", 0.5}}}, {"data", {{"train", {"a", "b"}}}}};
  Json other = one;
  EXPECT_EQ(key_difference(one, other).key, "");
  other["train"]["rate"] = 0.25;
  const KeyDifference found = key_difference(one, other);
  EXPECT_EQ(found.key + " " + found.one + " " + found.other, "train.rate 0.5 0.25");
  other["train"].erase("batch");
  EXPECT_EQ(key_difference(one, other).other, "nothing");
}

}  // namespace
}  // namespace timetrial::launch
