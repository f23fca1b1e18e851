// Additions and sums: hand values, the aliasing that is allowed, thread counts, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/elementwise.h"

#include <omp.h>

#include "fixtures/bench.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary
using Values = std::vector<double>;

TEST(AddReference, HandValuesAndAliases) {
  Bench bench;
  const Tensor b = bench.input({3}, {10, 20, 30}), out = bench.output("out", {3});
  const Tensor left = bench.in_out("left", {3}, {1, 2, 3}), right = bench.in_out("right", {3}, {4, 5, 6});
  add({.out = out, .a = left, .b = b}, bench.stream());
  EXPECT_EQ(bench.values(out), (Values{11, 22, 33}));
  add({.out = left, .a = left, .b = b}, bench.stream());
  EXPECT_EQ(bench.values(left), (Values{11, 22, 33}));
  add({.out = right, .a = b, .b = right}, bench.stream());
  EXPECT_EQ(bench.values(right), (Values{14, 25, 36}));
  add({.out = right, .a = right, .b = right}, bench.stream());
  EXPECT_EQ(bench.values(right), (Values{28, 50, 72}));
}

TEST(AccumulateSumReference, HandValues) {
  Bench bench;
  const Tensor out = bench.in_out("out", {1}, {100});
  accumulate_sum({.out = out, .x = bench.input({2, 2}, {1, 2, 3, 5}), .scale = 0.5}, bench.stream());
  EXPECT_EQ(bench.values(out), (Values{105.5}));
  accumulate_sum({.out = out, .x = bench.input({0}, {}), .scale = 0.5}, bench.stream());
  EXPECT_EQ(bench.values(out), (Values{105.5}));
}

TEST(AccumulateSumReference, EveryElementCountsOnceAcrossChunks) {
  // More than one batch of chunks; whole numbers, so that the sum is exact.
  const int64_t count = 4096 * 256 + 4096 * 3 + 17;
  Bench bench;
  const Tensor out = bench.in_out("out", {1}, {0});
  Values x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i % 1009);
  double expected = 0;
  for (const double v : x) expected += v;
  accumulate_sum({.out = out, .x = bench.input({count}, x), .scale = 1}, bench.stream());
  EXPECT_EQ(bench.values(out)[0], expected);
}

TEST(AccumulateSumReference, DoesNotSeeTheNumberOfThreads) {
  // In double: a float result would round the difference between two orders away.
  const int before = omp_get_max_threads();
  const Values x = random_values(100003, 1);
  std::vector<Values> results;
  for (const int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    Bench bench;
    const Tensor out = bench.in_out("out", {1}, {0});
    accumulate_sum({.out = out, .x = bench.input({100003}, x), .scale = 1}, bench.stream());
    results.push_back(bench.values(out));
  }
  omp_set_num_threads(before);
  for (const Values& result : results) EXPECT_EQ(result, results[0]);
}

TEST(AccumulateSumReference, FloatTermsAreSummedInDouble) {
  // 2^24 + 1 is no float: a float sum would stand still.
  Values x(4000, 1.0);
  x[0] = 16777216;
  Bench bench(StreamRef{}, DType::f32);
  const Tensor out = bench.in_out("out", {1}, {0});
  accumulate_sum({.out = out, .x = bench.input({4000}, x), .scale = 1}, bench.stream());
  EXPECT_EQ(bench.values(out)[0], static_cast<double>(16777216.0f + 4000.0f));  // 2^24 + 3999, rounded to even
}

TEST(ElementwiseReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor two = bench.scratch(DType::f64, {2}), three = bench.scratch(DType::f64, {3}),
               narrow = bench.scratch(DType::f32, {2});
  EXPECT_THROW(add({.out = two, .a = two, .b = three}, bench.stream()), Error);
  EXPECT_THROW(add({.out = two, .a = narrow, .b = two}, bench.stream()), Error);
  EXPECT_THROW(accumulate_sum({.out = two, .x = two, .scale = 1}, bench.stream()), Error);
}

class ElementwiseParity : public PlaceTest {};

TEST_P(ElementwiseParity, Add) {
  for (const Shape shape : {Shape{1}, Shape{0, 4}, Shape{7, 11}, Shape{4096, 17}})
    expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
      add({.out = bench.output("out", shape),
           .a = bench.input(shape, random_values(shape, 1)),
           .b = bench.input(shape, random_values(shape, 2))},
          bench.stream());
    });
}

TEST_P(ElementwiseParity, AccumulateSum) {
  for (const int64_t count : {1, 0, 4097, 70001})
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      accumulate_sum({.out = bench.in_out("out", {1}, {3}),
                      .x = bench.input({count}, random_values(count, 1, -0.5, 1)),
                      .scale = 0.125},
                     bench.stream());
    });
}

INSTANTIATE_TEST_SUITE_P(All, ElementwiseParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
