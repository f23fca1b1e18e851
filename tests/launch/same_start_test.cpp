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
