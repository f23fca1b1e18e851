// Statistics of MLPerf scores: the mean without fastest and slowest, and how fast convergence may be before it is too
// fast. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace timetrial::results {

// Arithmetic mean and population standard deviation, added up in the order numpy adds (blocks of eight), so that
// factors come out bit-equal to the official checker's. NaN for no values.
double mean_of(std::span<const double> values);
double deviation_of(std::span<const double> values);

// Mean of what is left after the lowest and the highest value are dropped; nothing for fewer than three values.
std::optional<double> olympic_mean(std::vector<double> values);

// The lowest mean that a one-sided two-sample t-test (equal variances, both deviations that of the reference, level
// 0.05) still takes for the reference's own (rules digest 3.2). Bisected between 0 and `mean` down to 1e-4, as the
// official checker does it: the same figure to the last digit, up to 1e-4 from the closed form.
struct MinimumMean {
  double mean, deviation;
  int reference_runs, submission_runs;  // as counted by the test, after dropping
};
double minimum_mean(const MinimumMean& test);

// Value below which the share `part` (0..1) of the sorted values lies, linear between neighbours. NaN for no values.
double quantile_of(std::span<const double> sorted, double part);

}  // namespace timetrial::results
