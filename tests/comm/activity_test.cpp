// Who is to blame when only a deadline has passed.
// SPDX-License-Identifier: Apache-2.0
#include "comm/activity.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace timetrial::comm {
namespace {

Member at(int rank, int64_t call, bool inside, const std::string& group = "data") {
  return {.rank = rank,
          .host = "n1",
          .pid = 100 + rank,
          .activity = {.phase = "training",
                       .step = 5,
                       .collective = {.sequence = call,
                                      .kind = Collective::all_gather,
                                      .purpose = "weights",
                                      .inside = inside,
                                      .group = group}}};
}

TEST(OutOfStep, IsWhoIsElsewhereWhileMostWaitInOneCall) {
  EXPECT_EQ(out_of_step({at(0, 9, true), at(1, 9, true), at(2, 8, false)}), std::vector<int>{2});
  EXPECT_EQ(out_of_step({at(0, 9, true, "expert data"), at(1, 9, true), at(2, 9, true)}), std::vector<int>{0});
  EXPECT_EQ(out_of_step({at(0, 9, true), at(1, 9, true), at(2, 9, true), at(3, 10, true)}), std::vector<int>{3});
}

TEST(OutOfStep, IsNobodyWhereAllAreInOneCallOrHalfAgainstHalf) {
  EXPECT_TRUE(out_of_step({at(0, 9, true), at(1, 9, true)}).empty());
  EXPECT_TRUE(out_of_step({at(0, 9, true), at(1, 10, true)}).empty());
  EXPECT_TRUE(out_of_step({at(0, 9, true), at(1, 9, true), at(2, 7, true), at(3, 7, true)}).empty());
}

TEST(OutOfStep, CountsRanksThatMadeNoCallAgainstTheMajority) {
  EXPECT_EQ(out_of_step({at(0, 9, true), at(1, 9, true), at(2, -1, false)}), std::vector<int>{2});
  EXPECT_TRUE(out_of_step({at(0, 9, true), at(1, -1, false)}).empty());
}

TEST(Activity, TravelsAsJson) {
  const Activity activity = at(3, 17, true, "expert data").activity;
  EXPECT_EQ(text_of(activity_from(to_json(activity))),
            "training, step 5, inside all_gather \"weights\" of expert data (call 17)");
  EXPECT_EQ(text_of(activity_from(Json::array())), "starting");
  EXPECT_EQ(text_of(activity_from({{"kind", 99}, {"call", 3}})), "starting");
}

}  // namespace
}  // namespace timetrial::comm
