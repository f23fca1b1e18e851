// Cross entropy: hand values, shift invariance, gradient, label checks, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/cross_entropy.h"

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

struct Forward {
  Values loss, lse;
};

Forward forward(const Values& logits, const std::vector<int32_t>& labels) {
  Bench bench;
  const auto rows = static_cast<int64_t>(labels.size()), columns = static_cast<int64_t>(logits.size()) / rows;
  const Tensor loss = bench.output_statistics("loss", {rows}), lse = bench.output_statistics("lse", {rows});
  cross_entropy_forward({.loss = loss,
                         .lse = lse,
                         .logits = bench.input({rows, columns}, logits),
                         .labels = bench.input_i32({rows}, labels)},
                        bench.stream());
  return {bench.values(loss), bench.values(lse)};
}

TEST(CrossEntropyReference, HandValues) {
  // Equal logits: ln V. Logits ln 1, ln 2, ln 5: probabilities 1/8, 2/8, 5/8.
  const Forward f = forward({4, 4, 4, std::log(1.0), std::log(2.0), std::log(5.0)}, {2, 1});
  expect_close(f.loss, {std::log(3.0), std::log(4.0)}, {1e-15, 0}, "loss");
  expect_close(f.lse, {4 + std::log(3.0), std::log(8.0)}, {1e-15, 0}, "lse");
}

TEST(CrossEntropyReference, LargeLogitsNeitherOverflowNorLoseTheLoss) {
  const Forward f = forward({1e4, 1e4 - 1, -1e4, -1e4 - 1}, {0, 1});
  expect_close(f.loss, {std::log1p(std::exp(-1.0)), 1 + std::log1p(std::exp(-1.0))}, {1e-11, 0}, "loss");
}

TEST(CrossEntropyReference, LossDoesNotSeeAShiftOfARow) {
  const std::vector<int32_t> labels = {3, 0, 12};
  const Values logits = random_values(3 * 13, 1, -3, 3);
  Values shifted = logits;
  for (double& v : shifted) v += 64;
  expect_close(forward(shifted, labels).loss, forward(logits, labels).loss, {1e-13, 1e-13}, "loss");
}

TEST(CrossEntropyReference, GradientIsTheCentralDifference) {
  const int64_t rows = 3, columns = 6;
  const double scale = 0.37;
  const std::vector<int32_t> labels = {5, 0, 2};
  const Values logits = random_values(rows * columns, 1, -2, 2);
  const Loss loss = [&](const std::vector<Values>& at) { return scale * dot(forward(at[0], labels).loss, {1, 1, 1}); };
  Bench bench;
  const Tensor gradient = bench.in_out("logits", {rows, columns}, logits);
  cross_entropy_backward({.logits = gradient,
                          .lse = bench.input_statistics({rows}, forward(logits, labels).lse),
                          .labels = bench.input_i32({rows}, labels),
                          .scale = scale},
                         bench.stream());
  expect_gradients(loss, {{"logits", logits, bench.values(gradient)}});
}

TEST(CrossEntropyReference, RefusesLabelsOutsideTheVocabulary) {
  for (const int32_t label : {-1, 3}) {
    EXPECT_THROW(forward({1, 2, 3, 1, 2, 3}, {0, label}), Error);
    Bench bench;
    EXPECT_THROW(cross_entropy_backward({.logits = bench.scratch(DType::f64, {1, 3}),
                                         .lse = bench.scratch(DType::f64, {1}),
                                         .labels = bench.input_i32({1}, {label}),
                                         .scale = 1},
                                        bench.stream()),
                 Error);
  }
}

TEST(CrossEntropyReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor logits = bench.scratch(DType::f64, {2, 3}), two = bench.scratch(DType::f64, {2}),
               three = bench.scratch(DType::f64, {3}), labels = bench.input_i32({2}, {0, 0});
  EXPECT_THROW(cross_entropy_forward({.loss = three, .lse = two, .logits = logits, .labels = labels}, bench.stream()),
               Error);
  EXPECT_THROW(cross_entropy_forward({.loss = two, .lse = two, .logits = logits, .labels = two}, bench.stream()),
               Error);
  EXPECT_THROW(cross_entropy_backward({.logits = logits, .lse = three, .labels = labels, .scale = 1}, bench.stream()),
               Error);
}

class CrossEntropyParity : public PlaceTest {
 protected:
  static std::vector<Shape> shapes() { return {{1, 1}, {0, 7}, {3, 5}, {7, 1031}, {129, 1024}}; }
};

TEST_P(CrossEntropyParity, Forward) {
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      cross_entropy_forward(
          {.loss = bench.output_statistics("loss", {shape[0]}),
           .lse = bench.output_statistics("lse", {shape[0]}),
           .logits = bench.input(shape, random_values(shape, 1, -8, 8)),
           .labels = bench.input_i32({shape[0]}, random_ids(shape[0], static_cast<int32_t>(shape[1]), 2))},
          bench.stream());
    });
  }
}

TEST_P(CrossEntropyParity, Backward) {
  // Compared as an elementwise op: most gradients are far below the largest, and their relative error matters.
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    const Values logits = random_values(shape, 1, -4, 4);
    const auto labels = random_ids(shape[0], static_cast<int32_t>(shape[1]), 2);
    const Values lse = shape[0] > 0 ? forward(logits, labels).lse : Values{};
    expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
      cross_entropy_backward({.logits = bench.in_out("logits", shape, logits),
                              .lse = bench.input_statistics({shape[0]}, lse),
                              .labels = bench.input_i32({shape[0]}, labels),
                              .scale = 1.0 / 64},
                             bench.stream());
    });
  }
}

TEST_P(CrossEntropyParity, NanStaysInItsRow) {
  expect_parity(dtype(), stream(), OpClass::reduction, [](Bench& bench) {
    Values logits = random_values(3 * 40, 1);
    logits[45] = NAN;
    const Tensor loss = bench.output_statistics("loss", {3});
    cross_entropy_forward({.loss = loss,
                           .lse = bench.output_statistics("lse", {3}),
                           .logits = bench.input({3, 40}, logits),
                           .labels = bench.input_i32({3}, {1, 2, 3})},
                          bench.stream());
    EXPECT_TRUE(std::isnan(bench.values(loss)[1]));
    EXPECT_FALSE(std::isnan(bench.values(loss)[2]));
  });
}

INSTANTIATE_TEST_SUITE_P(All, CrossEntropyParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
