// Learning rates against the specification's check points (15.4), and the shape of the curve.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/schedule.h"

#include <fmt/format.h>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

// Seventeen digits tell every double from every other.
std::string rate(const TrainConfig& train, int64_t step) {
  return fmt::format("{:.16e}", learning_rate_at(train, step));
}
std::string digits(double value) { return fmt::format("{:.16e}", value); }

TEST(Schedule, IsTheReferencesAtBatch16) {
  const TrainConfig train = parse(user_config("full"), {{"form", "reference"}}).train;
  EXPECT_EQ(train.global_batch, 16);
  EXPECT_EQ(train.decay_steps, 1199872);
  EXPECT_EQ(rate(train, 0), digits(0));
  EXPECT_EQ(rate(train, 1), digits(3.125e-6));
  EXPECT_EQ(rate(train, 64), digits(2e-4));
  EXPECT_EQ(rate(train, 128), digits(4e-4));
  EXPECT_EQ(rate(train, 129), "3.9999999999938289e-04");
  EXPECT_EQ(rate(train, 13342), "3.9989225667958275e-04");
}

TEST(Schedule, IsTheSubmittedAtBatch24) {
  const TrainConfig train = parse(user_config("full"), {{"train.global_batch", "24"},
                                                        {"train.micro_batch", "3"},
                                                        {"train.learning_rate", "5e-4"},
                                                        {"train.warmup_steps", "256"}})
                                .train;
  EXPECT_EQ(train.end_learning_rate, 5e-5);
  EXPECT_EQ(train.decay_steps, 1199744);
  EXPECT_EQ(rate(train, 0), digits(0));
  EXPECT_EQ(rate(train, 1), digits(1.953125e-6));
  EXPECT_EQ(rate(train, 256), digits(5e-4));
  EXPECT_EQ(rate(train, 8653), digits(4.999455884303873e-4));
}

class SmallSchedule : public testing::Test {
 protected:
  double at(int64_t step) const { return learning_rate_at(train_, step); }
  TrainConfig train_{.learning_rate = 1, .end_learning_rate = 0.25, .warmup_steps = 4, .decay_steps = 14};
};

TEST_F(SmallSchedule, EndsAtTheDecayStepItself) {
  EXPECT_DOUBLE_EQ(at(9), 0.625);  // half way from 4 to 14, not from 4 to 18
  EXPECT_DOUBLE_EQ(at(14), 0.25);
  EXPECT_DOUBLE_EQ(at(15), 0.25);
  EXPECT_DOUBLE_EQ(at(1000000), 0.25);
  EXPECT_GT(at(13), 0.25);
}

TEST_F(SmallSchedule, RisesThenFalls) {
  EXPECT_DOUBLE_EQ(at(3), 0.75);
  for (int64_t step = 0; step < 4; ++step) EXPECT_LT(at(step), at(step + 1)) << step;
  for (int64_t step = 4; step < 14; ++step) EXPECT_GT(at(step), at(step + 1)) << step;
}

TEST_F(SmallSchedule, StartsAtThePeakWithoutWarmUp) {
  train_.warmup_steps = 0;
  EXPECT_DOUBLE_EQ(at(0), 1);
  EXPECT_DOUBLE_EQ(at(7), 0.625);
}

TEST_F(SmallSchedule, RefusesWhatIsNoStep) { EXPECT_THROW(at(-1), Error); }

}  // namespace
}  // namespace timetrial
