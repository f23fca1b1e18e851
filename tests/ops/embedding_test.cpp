// Token embedding: hand values, repeated ids, gradient, id checks, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/embedding.h"

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

Values forward(const Values& table, Shape shape, const std::vector<int32_t>& ids) {
  Bench bench;
  const auto count = static_cast<int64_t>(ids.size());
  const Tensor out = bench.output("out", {count, shape[1]});
  embedding_forward({.out = out, .table = bench.input(shape, table), .ids = bench.input_i32({count}, ids)},
                    bench.stream());
  return bench.values(out);
}

TEST(EmbeddingReference, PicksRows) {
  EXPECT_EQ(forward({1, 2, 3, 4, 5, 6}, {3, 2}, {2, 0, 2, 1}), (Values{5, 6, 1, 2, 5, 6, 3, 4}));
}

TEST(EmbeddingReference, RepeatedIdsAddUpOnTopOfWhatIsThere) {
  Bench bench;
  const Tensor d_table = bench.in_out("d_table", {3, 2}, {10, 20, 30, 40, 50, 60});
  embedding_backward(
      {.d_table = d_table, .d_out = bench.input({3, 2}, {1, 2, 4, 8, 16, 32}), .ids = bench.input_i32({3}, {1, 1, 0})},
      bench.stream());
  EXPECT_EQ(bench.values(d_table), (Values{26, 52, 35, 50, 50, 60}));
}

TEST(EmbeddingReference, GradientIsTheCentralDifference) {
  const std::vector<int32_t> ids = {3, 0, 3, 1, 3};
  const Shape shape{4, 3};
  const Values table = random_values(shape, 1), d_y = random_values(15, 2);
  Bench bench;
  const Tensor d_table = bench.in_out("d_table", shape, Values(12, 0.0));
  embedding_backward({.d_table = d_table, .d_out = bench.input({5, 3}, d_y), .ids = bench.input_i32({5}, ids)},
                     bench.stream());
  expect_gradients([&](const std::vector<Values>& at) { return dot(forward(at[0], shape, ids), d_y); },
                   {{"table", table, bench.values(d_table)}});
}

TEST(EmbeddingReference, RefusesIdsOutsideTheTable) {
  for (const int32_t id : {-1, 3}) {
    EXPECT_THROW(forward({1, 2, 3, 4, 5, 6}, {3, 2}, {0, id}), Error);
    Bench bench;
    EXPECT_THROW(embedding_backward({.d_table = bench.scratch(DType::f64, {3, 2}),
                                     .d_out = bench.scratch(DType::f64, {1, 2}),
                                     .ids = bench.input_i32({1}, {id})},
                                    bench.stream()),
                 Error);
  }
}

TEST(EmbeddingReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor table = bench.scratch(DType::f64, {3, 2}), rows = bench.scratch(DType::f64, {2, 3}),
               narrow = bench.scratch(DType::f32, {2, 2}), ids = bench.input_i32({2}, {0, 0});
  EXPECT_THROW(embedding_forward({.out = rows, .table = table, .ids = ids}, bench.stream()), Error);
  EXPECT_THROW(embedding_forward({.out = narrow, .table = table, .ids = ids}, bench.stream()), Error);
  EXPECT_THROW(embedding_backward({.d_table = table, .d_out = narrow, .ids = ids}, bench.stream()), Error);
}

class EmbeddingParity : public PlaceTest {};

TEST_P(EmbeddingParity, ForwardAndBackward) {
  struct Size {
    int64_t tokens, vocabulary, columns;
  };
  for (const Size s : {Size{1, 1, 1}, {0, 3, 4}, {5, 3, 7}, {257, 31, 17}, {300, 7, 96}, {64, 1024, 193}}) {
    SCOPED_TRACE(fmt::format("tokens {} vocabulary {} columns {}", s.tokens, s.vocabulary, s.columns));
    const auto ids = random_ids(s.tokens, static_cast<int32_t>(s.vocabulary), 1);
    const Shape table{s.vocabulary, s.columns}, rows{s.tokens, s.columns};
    expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
      embedding_forward({.out = bench.output("out", rows),
                         .table = bench.input(table, random_values(table, 2)),
                         .ids = bench.input_i32({s.tokens}, ids)},
                        bench.stream());
    });
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      embedding_backward({.d_table = bench.in_out_statistics("d_table", table, random_values(table, 3)),
                          .d_out = bench.input(rows, random_values(rows, 4)),
                          .ids = bench.input_i32({s.tokens}, ids)},
                         bench.stream());
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, EmbeddingParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
