// The mean without fastest and slowest, numpy's order of adding, and the t-test's border against the closed form.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace timetrial::results {
namespace {

TEST(Statistics, OlympicMeanDropsOneOfEachEnd) {
  EXPECT_EQ(olympic_mean({5, 1, 3}), 3);
  EXPECT_EQ(olympic_mean({10, 1, 2, 3, 4, 0}), 2.5);
  EXPECT_EQ(olympic_mean({4, 4, 4, 100}), 4);
  EXPECT_FALSE(olympic_mean({1, 2}).has_value());
  EXPECT_FALSE(olympic_mean({}).has_value());
}

TEST(Statistics, MeanAddsAsNumpyDoes) {
  EXPECT_TRUE(std::isnan(mean_of({})));
  std::vector<double> many;
  for (int i = 0; i < 300; ++i) many.push_back(1.0 / (i + 1));
  EXPECT_EQ(mean_of(many), 0.02094221293433168);  // numpy.mean; adding from left to right ends in ...673
  EXPECT_EQ(deviation_of(many), 0.07094677343195521);
}

TEST(Statistics, MinimumMeanIsWhereTheTestTurns) {
  // t(0.95, df) from tables: 2.3534 for 3, 1.7056 for 26.
  struct Case {
    MinimumMean test;
    double t;
  };
  for (const Case& c : {Case{{725760, 15360, 4, 1}, 2.353363}, Case{{194560, 8034.2, 18, 8}, 1.710882},
                        Case{{0.75, 0.04, 28, 8}, 1.690924}}) {
    const double closed =
        c.test.mean - c.t * c.test.deviation * std::sqrt(1.0 / c.test.reference_runs + 1.0 / c.test.submission_runs);
    EXPECT_NEAR(minimum_mean(c.test), closed, 1e-4 + 1e-6 * c.test.deviation);
  }
  EXPECT_EQ(minimum_mean({.mean = 17, .deviation = 0, .reference_runs = 4, .submission_runs = 1}), 17);
}

TEST(Statistics, QuantileIsLinearBetweenNeighbours) {
  const std::vector<double> values = {1, 2, 4};
  EXPECT_EQ(quantile_of(values, 0), 1);
  EXPECT_EQ(quantile_of(values, 0.5), 2);
  EXPECT_EQ(quantile_of(values, 0.75), 3);
  EXPECT_EQ(quantile_of(values, 1), 4);
  EXPECT_TRUE(std::isnan(quantile_of({}, 0.5)));
}

}  // namespace
}  // namespace timetrial::results
