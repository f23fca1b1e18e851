// RMSNorm: hand values, scale invariance, central differences, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rms_norm.h"

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

constexpr double kEpsilon = 1e-5;

struct Forward {
  Values out, rstd;
};

Forward forward(const Values& x, const Values& weight, double epsilon) {
  Bench bench;
  const auto columns = static_cast<int64_t>(weight.size()), rows = static_cast<int64_t>(x.size()) / columns;
  const Tensor out = bench.output("out", {rows, columns}), rstd = bench.output_statistics("rstd", {rows});
  rms_norm_forward({.out = out,
                    .rstd = rstd,
                    .x = bench.input({rows, columns}, x),
                    .weight = bench.input({columns}, weight),
                    .epsilon = epsilon},
                   bench.stream());
  return {bench.values(out), bench.values(rstd)};
}

TEST(RmsNormReference, HandValues) {
  // Row 1: mean square (1 + 49 + 0 + 0) / 4 + 3.5 = 16, rstd 1/4.
  const Forward f = forward({1, -7, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 4}, 3.5);
  expect_close(f.rstd, {0.25, 1 / std::sqrt(3.5)}, {1e-15, 0}, "rstd");
  expect_close(f.out, {0.25, -3.5, 0, 0, 0, 0, 0, 0}, {1e-15, 0}, "out");
}

TEST(RmsNormReference, OutputDoesNotSeeTheScaleOfARow) {
  const Values x = random_values(3 * 17, 1), weight = random_values(17, 2);
  Values larger = x;
  for (double& v : larger) v *= 1024;
  expect_close(forward(larger, weight, 0).out, forward(x, weight, 0).out, {1e-14, 0}, "out");
}

TEST(RmsNormReference, GradientsAreCentralDifferences) {
  const int64_t rows = 3, columns = 7;
  const Values x = random_values(rows * columns, 1), weight = random_values(columns, 2);
  const Values d_y = random_values(rows * columns, 3);
  const Loss loss = [&](const std::vector<Values>& at) { return dot(forward(at[0], at[1], kEpsilon).out, d_y); };
  Bench bench;
  const Tensor d_out = bench.input({rows, columns}, d_y), tx = bench.input({rows, columns}, x),
               rstd = bench.input_statistics({rows}, forward(x, weight, kEpsilon).rstd);
  const Tensor d_x = bench.output("d_x", {rows, columns});
  rms_norm_backward_input({.d_x = d_x, .d_out = d_out, .x = tx, .rstd = rstd, .weight = bench.input({columns}, weight)},
                          bench.stream());
  const Tensor d_weight = bench.in_out("d_weight", {columns}, Values(7, 0.0));
  rms_norm_backward_weight({.d_weight = d_weight, .d_out = d_out, .x = tx, .rstd = rstd}, bench.stream());
  expect_gradients(loss, {{"x", x, bench.values(d_x)}, {"weight", weight, bench.values(d_weight)}});
}

TEST(RmsNormReference, WeightGradientAccumulates) {
  Bench bench;
  const Tensor d_weight = bench.in_out("d_weight", {2}, {10, 20});
  rms_norm_backward_weight({.d_weight = d_weight,
                            .d_out = bench.input({2, 2}, {1, 2, 3, 4}),
                            .x = bench.input({2, 2}, {1, 1, 2, 2}),
                            .rstd = bench.input_statistics({2}, {0.5, 0.25})},
                           bench.stream());
  EXPECT_EQ(bench.values(d_weight), (Values{10 + 0.5 + 1.5, 20 + 1 + 2}));
}

TEST(RmsNormReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor x = bench.scratch(DType::f64, {2, 3}), other = bench.scratch(DType::f64, {3, 2}),
               rstd = bench.scratch(DType::f64, {2}), weight = bench.scratch(DType::f64, {3}),
               narrow = bench.scratch(DType::f32, {3});
  EXPECT_THROW(rms_norm_forward({.out = other, .rstd = rstd, .x = x, .weight = weight, .epsilon = 0}, bench.stream()),
               Error);
  EXPECT_THROW(rms_norm_forward({.out = x, .rstd = weight, .x = x, .weight = weight, .epsilon = 0}, bench.stream()),
               Error);
  EXPECT_THROW(rms_norm_forward({.out = x, .rstd = rstd, .x = x, .weight = narrow, .epsilon = 0}, bench.stream()),
               Error);
  EXPECT_THROW(rms_norm_backward_weight({.d_weight = rstd, .d_out = x, .x = x, .rstd = rstd}, bench.stream()), Error);
}

class RmsNormParity : public PlaceTest {
 protected:
  static std::vector<Shape> shapes() { return {{1, 1}, {0, 5}, {3, 7}, {64, 96}, {257, 192}, {5, 2880}, {13, 1031}}; }
};

TEST_P(RmsNormParity, Forward) {
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Tensor out = bench.output("out", shape), rstd = bench.output_statistics("rstd", {shape[0]});
      rms_norm_forward({.out = out,
                        .rstd = rstd,
                        .x = bench.input(shape, random_values(shape, 1)),
                        .weight = bench.input({shape[1]}, random_values(shape[1], 2)),
                        .epsilon = kEpsilon},
                       bench.stream());
    });
  }
}

TEST_P(RmsNormParity, BackwardInput) {
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      rms_norm_backward_input({.d_x = bench.output("d_x", shape),
                               .d_out = bench.input(shape, random_values(shape, 1)),
                               .x = bench.input(shape, random_values(shape, 2)),
                               .rstd = bench.input_statistics({shape[0]}, random_values(shape[0], 3, 0.5, 2)),
                               .weight = bench.input({shape[1]}, random_values(shape[1], 4))},
                              bench.stream());
    });
  }
}

TEST_P(RmsNormParity, BackwardWeight) {
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      rms_norm_backward_weight({.d_weight = bench.in_out_statistics("d_weight", {shape[1]}, random_values(shape[1], 1)),
                                .d_out = bench.input(shape, random_values(shape, 2)),
                                .x = bench.input(shape, random_values(shape, 3)),
                                .rstd = bench.input_statistics({shape[0]}, random_values(shape[0], 4, 0.5, 2))},
                               bench.stream());
    });
  }
}

TEST_P(RmsNormParity, NanStaysInItsRow) {
  expect_parity(dtype(), stream(), OpClass::reduction, [](Bench& bench) {
    Values x = random_values(3 * 40, 1);
    x[45] = NAN;
    const Tensor out = bench.output("out", {3, 40});
    rms_norm_forward({.out = out,
                      .rstd = bench.output_statistics("rstd", {3}),
                      .x = bench.input({3, 40}, x),
                      .weight = bench.input({40}, random_values(40, 2)),
                      .epsilon = kEpsilon},
                     bench.stream());
    EXPECT_TRUE(std::isnan(bench.values(out)[79]));
    EXPECT_FALSE(std::isnan(bench.values(out)[80]));
  });
}

INSTANTIATE_TEST_SUITE_P(All, RmsNormParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
