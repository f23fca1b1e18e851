// fast_exp against std::exp over every kind of float.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/vector_math.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace timetrial::ops::cpu {
namespace {

TIMETRIAL_MULTIVERSION void exp_all(float* y, const float* x, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = fast_exp(x[i]);
}

TEST(FastExp, StaysWithinItsBound) {
  // A prime stride over all bit patterns of finite floats, both signs.
  std::vector<float> x;
  for (uint64_t bits = 0; bits < 1ull << 32; bits += 10007) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isfinite(value)) x.push_back(value);
  }
  for (int i = -104 * 1024; i <= 89 * 1024; ++i) x.push_back(static_cast<float>(i) / 1024);
  std::vector<float> y(x.size());
  exp_all(y.data(), x.data(), static_cast<int64_t>(x.size()));
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    const auto nearest = static_cast<float>(exact);
    if (std::isinf(nearest) || std::isinf(y[i])) {
      ASSERT_EQ(y[i], nearest) << "exp(" << x[i] << ")";
      continue;
    }
    const double unit = static_cast<double>(std::nextafter(nearest, INFINITY)) - nearest;
    worst = std::max(worst, std::fabs(y[i] - exact) / unit);
  }
  EXPECT_LT(worst, 1.25);
  EXPECT_GT(worst, 0.4) << "no error at all: the comparison compares nothing";
}

TEST(FastExp, KeepsSpecialValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0.0f,  -0.0f, -kInfinity, kInfinity, std::numeric_limits<float>::quiet_NaN(),
                                1e30f, -1e30f};
  std::vector<float> y(x.size());
  exp_all(y.data(), x.data(), static_cast<int64_t>(x.size()));
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[1], 1.0f);
  EXPECT_EQ(y[2], 0.0f);
  EXPECT_EQ(y[3], kInfinity);
  EXPECT_TRUE(std::isnan(y[4]));
  EXPECT_EQ(y[5], kInfinity);
  EXPECT_EQ(y[6], 0.0f);
}

}  // namespace
}  // namespace timetrial::ops::cpu
