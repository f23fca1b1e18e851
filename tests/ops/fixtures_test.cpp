// The fixtures themselves: each check must be able to fail.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::fixtures {
namespace {

TEST(Tolerances, RefusesWhatIsJustOutside) {
  const Tolerance tolerance{1e-3, 1e-4};
  const std::vector<double> reference = {1, -2, 10};
  EXPECT_LE(worst_difference({1.0019, -2.0029, 10.01}, reference, tolerance).of_allowed, 1);
  EXPECT_GT(worst_difference({1.0021, -2, 10}, reference, tolerance).of_allowed, 1);
  EXPECT_GT(worst_difference({1, -2.0031, 10}, reference, tolerance).of_allowed, 1);
}

TEST(Tolerances, RefusesNanInfinityAndMissingElements) {
  const Tolerance wide{1, 1};
  EXPECT_EQ(worst_difference({NAN, 1}, {1, 1}, wide).of_allowed, INFINITY);
  EXPECT_EQ(worst_difference({1, 1}, {NAN, 1}, wide).of_allowed, INFINITY);
  EXPECT_EQ(worst_difference({INFINITY}, {-INFINITY}, wide).of_allowed, INFINITY);
  EXPECT_EQ(worst_difference({1}, {1, 1}, wide).of_allowed, INFINITY);
  EXPECT_EQ(worst_difference({NAN, INFINITY}, {NAN, INFINITY}, wide).of_allowed, 0);
}

TEST(Tolerances, KnowsNoIntegers) { EXPECT_THROW(tolerance_of(DType::i32, OpClass::elementwise), Error); }

TEST(GuardedTensors, SeeAWriteOnEitherSide) {
  for (const ptrdiff_t offset : {ptrdiff_t{-1}, ptrdiff_t{3}}) {
    EXPECT_NONFATAL_FAILURE(
        {
          GuardedTensor tensor(DType::f32, {3}, StreamRef{});
          tensor.view().data<float>()[offset] = 0;
        },
        "bytes next to a tensor");
  }
}

TEST(GuardedTensors, StartAsNan) {
  GuardedTensor floats(DType::f32, {3}, StreamRef{}), doubles(DType::f64, {3}, StreamRef{});
  EXPECT_TRUE(std::isnan(floats.view().data<float>()[2]));
  EXPECT_TRUE(std::isnan(doubles.view().data<double>()[2]));
}

TEST(Benches, SeeAWriteToAnInput) {
  EXPECT_NONFATAL_FAILURE(
      {
        Bench bench;
        bench.input({2}, {1, 2}).data<double>()[1] = 3;
      },
      "the op wrote to an input");
}

// Doubles its input on the device it is given, wrongly by `error` in fp32.
void twice(Bench& bench, float error) {
  const Tensor x = bench.input({2}, {1, 2}), y = bench.output("y", {2});
  for (int i = 0; i < 2; ++i) {
    if (bench.dtype() == DType::f64)
      y.data<double>()[i] = 2 * x.data<double>()[i];
    else
      y.data<float>()[i] = 2 * x.data<float>()[i] + error;
  }
}

TEST(Parity, SeesAWrongKernel) {
  expect_parity(DType::f32, StreamRef{}, OpClass::elementwise, [](Bench& b) { twice(b, 0); });
  EXPECT_NONFATAL_FAILURE(
      expect_parity(DType::f32, StreamRef{}, OpClass::elementwise, [](Bench& b) { twice(b, 1e-4f); }),
      "times the allowed difference");
}

TEST(Parity, SeesAnElementLeftOut) {
  EXPECT_NONFATAL_FAILURE(expect_parity(DType::f32, StreamRef{}, OpClass::product,
                                        [](Bench& b) {
                                          const Tensor y = b.output("y", {2});
                                          if (b.dtype() == DType::f64) from_host(y, {0, 0}, b.stream());
                                        }),
                          "nan instead of 0");
}

TEST(CentralDifferences, AcceptTheDerivativeAndNothingElse) {
  const Values x = {0.3, -1.2, 2};
  const Loss loss = [](const std::vector<Values>& in) {
    double sum = 0;
    for (const double v : in[0]) sum += std::sin(v);
    return sum;
  };
  Values gradient;
  for (const double v : x) gradient.push_back(std::cos(v));
  EXPECT_LT(check_gradients(loss, {{"x", x, gradient}}).worst, 1e-8);
  gradient[1] *= 1.00001;
  EXPECT_GT(check_gradients(loss, {{"x", x, gradient}}).worst, 1e-6);
  gradient[1] = NAN;
  EXPECT_EQ(check_gradients(loss, {{"x", x, gradient}}).worst, INFINITY);
  EXPECT_EQ(check_gradients(loss, {{"x", x, {0, 0}}}).worst, INFINITY);
}

}  // namespace
}  // namespace timetrial::fixtures
