// Cross entropy over shards of the vocabulary: equal to the whole op however the classes are split, gradient by central
// differences, padded classes, odd values, places beyond 2^31, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sharded_cross_entropy.h"

#include <sys/mman.h>

#include <numeric>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"
#include "timetrial/ops/cross_entropy.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

constexpr double kNone = -std::numeric_limits<double>::infinity();

struct Problem {
  int64_t rows, classes;
  Values logits;
  std::vector<int32_t> labels;
};

// Columns [begin, end) of every row: what one rank has.
Values columns_of(const Problem& p, const Values& of, int64_t begin, int64_t end) {
  Values part;
  for (int64_t row = 0; row < p.rows; ++row)
    part.insert(part.end(), of.begin() + row * p.classes + begin, of.begin() + row * p.classes + end);
  return part;
}

struct Result {
  Values loss, lse, gradient;  // gradient (rows, classes), put together from the shards'
};

// The shards as ranks would run them, one after another; `sizes` are their classes. Inputs in `dtype` at the bench.
Result sharded(const Problem& p, const std::vector<int64_t>& sizes, double scale) {
  Result result;
  result.gradient.resize(p.logits.size());
  Values gathered;
  const auto each = [&](const auto& f) {
    int64_t begin = 0;
    for (const int64_t size : sizes) {
      f(begin, size);
      begin += size;
    }
    EXPECT_EQ(begin, p.classes);
  };
  each([&](int64_t begin, int64_t size) {
    Bench bench;
    const Tensor statistics = bench.output_statistics("statistics", {3, p.rows});
    cross_entropy_shard_forward({.statistics = statistics,
                                 .logits = bench.input({p.rows, size}, columns_of(p, p.logits, begin, begin + size)),
                                 .labels = bench.input_i32({p.rows}, p.labels),
                                 .shard = {.first = begin, .all = p.classes}},
                                bench.stream());
    const Values own = bench.values(statistics);
    gathered.insert(gathered.end(), own.begin(), own.end());
  });
  {
    Bench bench;
    const Tensor loss = bench.output_statistics("loss", {p.rows}), lse = bench.output_statistics("lse", {p.rows});
    const Shape shape{static_cast<int64_t>(sizes.size()), 3, p.rows};
    cross_entropy_combine({.loss = loss, .lse = lse, .statistics = bench.input_statistics(shape, gathered)},
                          bench.stream());
    result.loss = bench.values(loss);
    result.lse = bench.values(lse);
  }
  each([&](int64_t begin, int64_t size) {
    Bench bench;
    const Tensor logits = bench.in_out("logits", {p.rows, size}, columns_of(p, p.logits, begin, begin + size));
    cross_entropy_shard_backward({.logits = logits,
                                  .lse = bench.input_statistics({p.rows}, result.lse),
                                  .labels = bench.input_i32({p.rows}, p.labels),
                                  .shard = {.first = begin, .all = p.classes},
                                  .scale = scale},
                                 bench.stream());
    const Values own = bench.values(logits);
    for (int64_t row = 0; row < p.rows; ++row)
      std::copy(own.begin() + row * size, own.begin() + (row + 1) * size,
                result.gradient.begin() + row * p.classes + begin);
  });
  return result;
}

Result whole(const Problem& p, double scale) {
  Bench bench;
  const Tensor loss = bench.output_statistics("loss", {p.rows}), lse = bench.output_statistics("lse", {p.rows});
  const Tensor labels = bench.input_i32({p.rows}, p.labels);
  cross_entropy_forward(
      {.loss = loss, .lse = lse, .logits = bench.input({p.rows, p.classes}, p.logits), .labels = labels},
      bench.stream());
  const Tensor gradient = bench.in_out("logits", {p.rows, p.classes}, p.logits);
  cross_entropy_backward({.logits = gradient, .lse = lse, .labels = labels, .scale = scale}, bench.stream());
  return {bench.values(loss), bench.values(lse), bench.values(gradient)};
}

// 29 classes in 1, 2, 3 and 5 shards, evenly and not.
std::vector<std::vector<int64_t>> splits() {
  return {{29}, {14, 15}, {1, 28}, {9, 10, 10}, {20, 1, 8}, {6, 6, 6, 6, 5}, {1, 11, 2, 14, 1}};
}

Problem example() {  // every class is some row's label, so the label lies in every shard of every split
  Problem p{.rows = 29, .classes = 29, .logits = random_values(29 * 29, 1, -6, 6), .labels = {}};
  p.labels.resize(29);
  std::iota(p.labels.begin(), p.labels.end(), 0);
  return p;
}

TEST(ShardedCrossEntropyReference, IsTheWholeOpHoweverTheClassesAreSplit) {
  const Problem p = example();
  const Result expected = whole(p, 0.25);
  for (const auto& sizes : splits()) {
    SCOPED_TRACE(fmt::format("{} shards, the first of {}", sizes.size(), sizes[0]));
    const Result result = sharded(p, sizes, 0.25);
    expect_close(result.loss, expected.loss, {1e-12, 0}, "loss");
    expect_close(result.lse, expected.lse, {1e-12, 0}, "lse");
    expect_close(result.gradient, expected.gradient, {1e-12, 1e-16}, "gradient");
  }
}

TEST(ShardedCrossEntropyReference, StatisticsAreHandValues) {
  Bench bench;
  const Tensor statistics = bench.output_statistics("statistics", {3, 2});
  cross_entropy_shard_forward({.statistics = statistics,
                               .logits = bench.input({2, 2}, {std::log(1.0), std::log(2.0), 7, 7}),
                               .labels = bench.input_i32({2}, {4, 3}),
                               .shard = {.first = 3, .all = 9}},
                              bench.stream());
  expect_close(bench.values(statistics), {std::log(2.0), 7, 1.5, 2, std::log(2.0), 7}, {1e-15, 0}, "statistics");
}

TEST(ShardedCrossEntropyReference, GradientIsTheCentralDifference) {
  Problem p{.rows = 3, .classes = 7, .logits = random_values(21, 3, -2, 2), .labels = {6, 0, 3}};
  const double scale = 0.37;
  for (const auto& sizes : {std::vector<int64_t>{7}, {3, 4}, {1, 5, 1}}) {
    const Loss loss = [&](const std::vector<Values>& at) {
      Problem moved = p;
      moved.logits = at[0];
      return scale * dot(sharded(moved, sizes, scale).loss, {1, 1, 1});
    };
    expect_gradients(loss, {{"logits", p.logits, sharded(p, sizes, scale).gradient}});
  }
}

// 32,000 token ids in 32,768 rows over 8 ranks, in small: the last shard has no id at all, but its share of the sum.
TEST(ShardedCrossEntropyReference, PaddedClassesCountInTheSoftmaxAlone) {
  Problem p{.rows = 5, .classes = 16, .logits = random_values(80, 4, -3, 3), .labels = {0, 3, 7, 11, 5}};
  const Result result = sharded(p, {4, 4, 4, 4}, 1), expected = whole(p, 1);
  expect_close(result.loss, expected.loss, {1e-12, 0}, "loss");
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t column = 12; column < 16; ++column)
      EXPECT_GT(result.gradient[static_cast<size_t>(row * 16 + column)], 0) << row << " " << column;
}

TEST(ShardedCrossEntropyReference, LargeLogitsNeitherOverflowNorLoseTheLoss) {
  const Problem p{
      .rows = 2, .classes = 4, .logits = {1e4, 1e4 - 1, -1e4, -1e4 - 1, -1e4 - 1, -1e4, 0, 1e4}, .labels = {0, 3}};
  expect_close(sharded(p, {2, 2}, 1).loss, {std::log1p(std::exp(-1.0)), 0}, {1e-14, 0}, "loss");
}

TEST(ShardedCrossEntropyReference, AShardOfMinusInfinitiesAddsNothingAndANanIsSeen) {
  const Problem masked{.rows = 1, .classes = 4, .logits = {1, 2, kNone, kNone}, .labels = {1}};
  const Result result = sharded(masked, {2, 2}, 1);
  expect_close(result.loss, {std::log1p(std::exp(-1.0))}, {1e-14, 0}, "loss");
  EXPECT_EQ(result.gradient[2], 0);
  const Problem label{.rows = 2, .classes = 4, .logits = {1, NAN, 0, 0, 0, 0, 1, 2}, .labels = {1, 0}};
  const Problem other{.rows = 2, .classes = 4, .logits = {1, 0, NAN, NAN, 0, 0, 1, 2}, .labels = {1, 0}};
  for (const Problem& p : {label, other}) {
    EXPECT_TRUE(std::isnan(sharded(p, {2, 2}, 1).loss[0]));
    EXPECT_FALSE(std::isnan(sharded(p, {2, 2}, 1).loss[1]));
  }
}

TEST(ShardedCrossEntropyReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor logits = bench.scratch(DType::f64, {2, 3}), statistics = bench.scratch(DType::f64, {3, 2}),
               two = bench.scratch(DType::f64, {2});
  const auto forward = [&](const std::vector<int32_t>& labels, ClassShard shard, const Tensor& out) {
    cross_entropy_shard_forward(
        {.statistics = out, .logits = logits, .labels = bench.input_i32({2}, labels), .shard = shard}, bench.stream());
  };
  EXPECT_NO_THROW(forward({0, 8}, {.first = 3, .all = 9}, statistics));
  EXPECT_THROW(forward({0, 9}, {.first = 3, .all = 9}, statistics), Error);
  EXPECT_THROW(forward({-1, 8}, {.first = 3, .all = 9}, statistics), Error);
  EXPECT_THROW(forward({0, 8}, {.first = 7, .all = 9}, statistics), Error);
  EXPECT_THROW(forward({0, 8}, {.first = -1, .all = 9}, statistics), Error);
  EXPECT_THROW(forward({0, 8}, {.first = 3, .all = 9}, two), Error);
  EXPECT_THROW(cross_entropy_combine({.loss = two, .lse = two, .statistics = statistics}, bench.stream()), Error);
  EXPECT_THROW(cross_entropy_shard_backward({.logits = logits,
                                             .lse = two,
                                             .labels = bench.input_i32({2}, {0, 9}),
                                             .shard = {.first = 3, .all = 9},
                                             .scale = 1},
                                            bench.stream()),
               Error);
}

// Pages that nothing wrote to read as zeros and take no memory: 2^31 + 2^20 logits cost only the rows that are written.
TEST(ShardedCrossEntropy, PlacesGoBeyond32Bits) {
  const int64_t columns = int64_t{1} << 20, rows = (int64_t{1} << 11) + 1;
  const size_t bytes = static_cast<size_t>(rows * columns) * sizeof(float);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no " << bytes << " bytes of address space";
  const Tensor logits(memory, DType::f32, {rows, columns}, {});
  const int64_t last = (rows - 1) * columns;
  logits.data<float>()[last + columns - 1] = 60;
  Bench bench(StreamRef{}, DType::f32);
  const Tensor statistics = bench.output_statistics("statistics", {3, rows});
  std::vector<int32_t> labels(static_cast<size_t>(rows), 0);
  labels.back() = static_cast<int32_t>(columns - 1);
  cross_entropy_shard_forward({.statistics = statistics,
                               .logits = logits,
                               .labels = bench.input_i32({rows}, labels),
                               .shard = {.first = 0, .all = columns}},
                              bench.stream());
  const Values values = bench.values(statistics);
  munmap(memory, bytes);
  const auto at = [&](int64_t which, int64_t row) { return values[static_cast<size_t>(which * rows + row)]; };
  EXPECT_EQ(at(0, 0), 0);
  EXPECT_EQ(at(1, 0), static_cast<double>(columns));
  EXPECT_EQ(at(0, rows - 1), 60);
  EXPECT_EQ(at(2, rows - 1), 60);
  EXPECT_EQ(at(1, rows - 1), 1);  // beside e^60 a million ones vanish, in whatever order they are summed
}

class ShardedCrossEntropyParity : public PlaceTest {
 protected:
  static std::vector<Shape> shapes() { return {{1, 1}, {0, 7}, {3, 5}, {7, 1031}, {129, 1024}}; }
};

// Labels of shards on both sides are among them.
std::vector<int32_t> labels_of(Shape shape) { return random_ids(shape[0], static_cast<int32_t>(3 * shape[1]), 2); }
ClassShard middle_of(Shape shape) { return {.first = shape[1], .all = 3 * shape[1]}; }

TEST_P(ShardedCrossEntropyParity, Forward) {
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      cross_entropy_shard_forward({.statistics = bench.output_statistics("statistics", {3, shape[0]}),
                                   .logits = bench.input(shape, random_values(shape, 1, -8, 8)),
                                   .labels = bench.input_i32({shape[0]}, labels_of(shape)),
                                   .shard = middle_of(shape)},
                                  bench.stream());
    });
  }
}

TEST_P(ShardedCrossEntropyParity, Combine) {
  for (const Shape shape : {Shape{1, 1}, {2, 0}, {3, 5}, {8, 1031}}) {
    SCOPED_TRACE(shape.text());
    const int64_t shards = shape[0], rows = shape[1];
    Values statistics;
    for (int64_t shard = 0; shard < shards; ++shard) {
      const Values largest = random_values(rows, static_cast<uint64_t>(shard), 0, 8);
      const Values sum = random_values(rows, static_cast<uint64_t>(100 + shard), 1, 50);
      statistics.insert(statistics.end(), largest.begin(), largest.end());
      statistics.insert(statistics.end(), sum.begin(), sum.end());
      for (int64_t row = 0; row < rows; ++row) statistics.push_back(row % shards == shard ? -1.25 : kNone);
    }
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      cross_entropy_combine({.loss = bench.output_statistics("loss", {rows}),
                             .lse = bench.output_statistics("lse", {rows}),
                             .statistics = bench.input_statistics({shards, 3, rows}, statistics)},
                            bench.stream());
    });
  }
}

TEST_P(ShardedCrossEntropyParity, Backward) {
  // Compared as an elementwise op: most gradients are far below the largest, and their relative error matters.
  for (const Shape shape : shapes()) {
    SCOPED_TRACE(shape.text());
    expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
      cross_entropy_shard_backward({.logits = bench.in_out("logits", shape, random_values(shape, 1, -4, 4)),
                                    .lse = bench.input_statistics({shape[0]}, random_values(shape[0], 5, 4, 9)),
                                    .labels = bench.input_i32({shape[0]}, labels_of(shape)),
                                    .shard = middle_of(shape),
                                    .scale = 1.0 / 64},
                                   bench.stream());
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, ShardedCrossEntropyParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
