// The order of work of a step, and the faults its check must find.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/pipeline_schedule.h"

#include <gtest/gtest.h>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

TEST(AccumulateSchedule, RunsEveryMicroBatchThenUpdates) {
  for (int micros : {1, 2, 7}) {
    const auto schedule = make_accumulate_schedule(micros);
    EXPECT_NO_THROW(check_schedule(schedule, micros));
    EXPECT_EQ(schedule.size(), static_cast<size_t>(2 * micros + 1));
    EXPECT_EQ(slots_in_flight(schedule), 1);
  }
}

TEST(CheckSchedule, FindsWhatIsWrong) {
  const auto good = make_accumulate_schedule(2);
  EXPECT_THROW(check_schedule(good, 3), Error);  // a micro batch is missing
  auto reused = good;
  std::swap(reused[1], reused[2]);  // forward, forward into one slot
  EXPECT_THROW(check_schedule(reused, 2), Error);
  auto two_slots = reused;
  two_slots[1].slot = two_slots[3].slot = 1;
  EXPECT_NO_THROW(check_schedule(two_slots, 2));
  EXPECT_EQ(slots_in_flight(two_slots), 2);
  auto wrong_slot = two_slots;
  wrong_slot[3].slot = 0;
  EXPECT_THROW(check_schedule(wrong_slot, 2), Error);
  auto no_update = good;
  no_update.pop_back();
  EXPECT_THROW(check_schedule(no_update, 2), Error);
  auto early_update = good;
  std::swap(early_update[3], early_update[4]);
  EXPECT_THROW(check_schedule(early_update, 2), Error);
}

}  // namespace
}  // namespace timetrial
