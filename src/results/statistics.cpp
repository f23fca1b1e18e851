// Sums in numpy's order, the t-test and its bisection. Student's t distribution is Boost.Math's.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "timetrial/base/error.h"

namespace timetrial::results {

namespace {

constexpr double kLevel = 0.05, kTolerance = 1e-4;
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

// numpy's pairwise summation: eight running sums in blocks of at most 128, halves above that.
double pairwise_sum(std::span<const double> values) {
  const size_t count = values.size();
  if (count < 8) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  }
  if (count > 128) {
    const size_t half = count / 2 - count / 2 % 8;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  double part[8];
  std::copy_n(values.begin(), 8, part);
  size_t at = 8;
  for (; at + 8 <= count; at += 8)
    for (size_t i = 0; i < 8; ++i) part[i] += values[at + i];
  double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
  for (; at < count; ++at) sum += values[at];
  return sum;
}

}  // namespace

double mean_of(std::span<const double> values) {
  return values.empty() ? kNotANumber : pairwise_sum(values) / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values) {
  const double mean = mean_of(values);
  std::vector<double> squares;
  for (const double value : values) squares.push_back((value - mean) * (value - mean));
  return std::sqrt(mean_of(squares));
}

std::optional<double> olympic_mean(std::vector<double> values) {
  if (values.size() < 3) return std::nullopt;
  std::sort(values.begin(), values.end());
  return mean_of(std::span(values).subspan(1, values.size() - 2));
}

double minimum_mean(const MinimumMean& test) {
  TIMETRIAL_CHECK(
      test.reference_runs >= 1 && test.submission_runs >= 1 && test.reference_runs + test.submission_runs > 2,
      "a t-test of {} and {} runs", test.reference_runs, test.submission_runs);
  if (test.deviation == 0) return test.mean;
  const double n = test.reference_runs, m = test.submission_runs, freedom = n + m - 2;
  const boost::math::students_t distribution(freedom);
  const double square = test.deviation * test.deviation;
  const double pooled = ((n - 1) * square + (m - 1) * square) / freedom;
  const double error = std::sqrt(pooled * (1 / n + 1 / m));
  double low = 0, high = test.mean, middle = (low + high) / 2;
  while (high - low > kTolerance && low < middle && middle < high) {
    const double t = (middle - test.mean) / error;
    const double probability = boost::math::cdf(boost::math::complement(distribution, std::abs(t)));
    (probability > kLevel ? high : low) = middle;
    middle = (low + high) / 2;
  }
  return middle;
}

double quantile_of(std::span<const double> sorted, double part) {
  if (sorted.empty()) return kNotANumber;
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace timetrial::results
