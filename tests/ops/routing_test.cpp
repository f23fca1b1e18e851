// Expert routing: top-k with ties and NaN, its gradient, the row order, and the row copies as linear maps.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary
using Ids = std::vector<int32_t>;

struct Routed {
  Ids expert;
  Values gate;
};
Routed route(Bench& bench, const Values& logits, int64_t experts, int64_t choices) {
  const auto tokens = static_cast<int64_t>(logits.size()) / experts;
  const Tensor expert = bench.output_i32("expert", {tokens, choices});
  const Tensor gate = bench.output_statistics("gate", {tokens, choices});
  route_forward({expert, gate, bench.input({tokens, experts}, logits)}, bench.stream());
  return {to_host_i32(expert, bench.stream()), bench.values(gate)};
}
Routed route(const Values& logits, int64_t experts, int64_t choices) {
  Bench bench;
  return route(bench, logits, experts, choices);
}

TEST(RouteReference, HandValues) {
  const Routed r = route({1, 3, 2, 0, -5, -1, -1.5, -9}, 4, 2);
  EXPECT_EQ(r.expert, (Ids{1, 2, 1, 2}));
  const double a = 1 / (1 + std::exp(-1.0)), b = 1 / (1 + std::exp(-0.5));
  expect_close(r.gate, {a, 1 - a, b, 1 - b}, {1e-15, 0}, "gate");
}

TEST(RouteReference, TiesGoToTheLowerExpert) {
  EXPECT_EQ(route({5, 5, 5, 5, 5}, 5, 3).expert, (Ids{0, 1, 2}));
  EXPECT_EQ(route({1, 7, 2, 7, 2}, 5, 3).expert, (Ids{1, 3, 2}));
  EXPECT_EQ(route({-0.0, 0.0, -0.0}, 3, 2).expert, (Ids{0, 1}));
}

TEST(RouteReference, MatchesASortOfManyExperts) {
  for (const auto& [experts, choices] : {std::pair{256, 8}, {8, 8}, {32, 4}, {1, 1}, {9, 1}}) {
    // Quarters, so that ties are common.
    Values logits = random_values(50 * experts, 1, -20, 20);
    for (double& v : logits) v = std::round(v) / 4;
    const Routed r = route(logits, experts, choices);
    for (int64_t t = 0; t < 50; ++t) {
      const double* row = logits.data() + t * experts;
      Ids order(static_cast<size_t>(experts));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return row[a] > row[b]; });
      order.resize(static_cast<size_t>(choices));
      EXPECT_EQ(Ids(r.expert.begin() + t * choices, r.expert.begin() + (t + 1) * choices), order);
      double sum = 0;
      for (const int32_t e : order) sum += std::exp(row[e]);
      for (int64_t c = 0; c < choices; ++c)
        EXPECT_NEAR(r.gate[static_cast<size_t>(t * choices + c)], std::exp(row[order[static_cast<size_t>(c)]]) / sum,
                    1e-14);
    }
  }
}

TEST(RouteReference, NanLogitsGiveValidExpertsAndNanGates) {
  const double nan = std::nan("");
  for (const Values& logits : {Values{1, nan, 2, 3}, {nan, nan, nan, nan}, {3, 2, 1, nan}, {nan, INFINITY, 0, nan}}) {
    const Routed r = route(logits, 4, 3);
    Ids sorted = r.expert;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(std::unique(sorted.begin(), sorted.end()), sorted.end());
    EXPECT_TRUE(sorted.front() >= 0 && sorted.back() < 4);
    for (const double g : r.gate) EXPECT_TRUE(std::isnan(g));
  }
}

TEST(RouteReference, MinusInfinityIsAnExpertThatIsNeverWanted) {
  const Routed r = route({-INFINITY, 1, -INFINITY, 1}, 4, 3);
  EXPECT_EQ(r.expert, (Ids{1, 3, 0}));
  EXPECT_EQ(r.gate, (Values{0.5, 0.5, 0}));
}

TEST(RouteReference, GradientIsTheCentralDifference) {
  const int64_t tokens = 5, experts = 6, choices = 3;
  const Values logits = random_values(tokens * experts, 2, -3, 3), d_gates = random_values(tokens * choices, 3);
  const Routed r = route(logits, experts, choices);
  Bench bench;
  const Tensor d_logits = bench.output("d_logits", {tokens, experts});
  route_backward({d_logits, bench.input({tokens, choices}, d_gates), bench.input({tokens, choices}, r.gate),
                  bench.input_i32({tokens, choices}, r.expert)},
                 bench.stream());
  const Loss loss = [&](const std::vector<Values>& at) { return dot(route(at[0], experts, choices).gate, d_gates); };
  expect_gradients(loss, {{"logits", logits, bench.values(d_logits)}});
}

struct Groups {
  Ids begin, source, row_of;
};
Groups group(const Ids& expert, int64_t experts, int64_t choices) {
  Bench bench;
  const auto pairs = static_cast<int64_t>(expert.size());
  const GroupByExpert g = {bench.output_i32("begin", {experts + 1}), bench.output_i32("source", {pairs}),
                           bench.output_i32("row_of", {pairs / choices, choices}),
                           bench.input_i32({pairs / choices, choices}, expert)};
  group_by_expert(g, bench.stream());
  return {to_host_i32(g.expert_begin, {}), to_host_i32(g.source, {}), to_host_i32(g.row_of, {})};
}

TEST(GroupByExpertTest, HandValues) {
  const Groups g = group({2, 0, 0, 3, 2, 3}, 5, 2);
  EXPECT_EQ(g.begin, (Ids{0, 2, 2, 4, 6, 6}));
  EXPECT_EQ(g.source, (Ids{1, 2, 0, 4, 3, 5}));
  EXPECT_EQ(g.row_of, (Ids{2, 0, 1, 4, 3, 5}));
}

TEST(GroupByExpertTest, IsTheStableSortWithItsInverse) {
  for (const int32_t experts : {1, 2, 8, 256}) {
    const Ids expert = random_ids(300 * 4, experts, 4);
    const Groups g = group(expert, experts, 4);
    Ids expected(expert.size());
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
      return expert[static_cast<size_t>(a)] < expert[static_cast<size_t>(b)];
    });
    EXPECT_EQ(g.source, expected);
    for (size_t r = 0; r < g.source.size(); ++r)
      EXPECT_EQ(g.row_of[static_cast<size_t>(g.source[r])], static_cast<int32_t>(r));
    EXPECT_EQ(g.begin.front(), 0);
    for (size_t e = 0; e < static_cast<size_t>(experts); ++e)
      EXPECT_EQ(g.begin[e + 1] - g.begin[e], std::count(expert.begin(), expert.end(), static_cast<int32_t>(e)));
  }
}

TEST(GroupByExpertTest, OneExpertGetsAll) {
  const Groups g = group(Ids(12, 3), 5, 2);
  EXPECT_EQ(g.begin, (Ids{0, 0, 0, 0, 12, 12}));
  Ids all(12);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(g.source, all);
  EXPECT_EQ(g.row_of, all);
}

TEST(GroupByExpertTest, NoTokens) { EXPECT_EQ(group({}, 3, 2).begin, (Ids{0, 0, 0, 0})); }

TEST(GroupByExpertTest, RefusesUnknownExperts) {
  EXPECT_THROW(group({0, 3}, 3, 2), Error);
  EXPECT_THROW(group({-1, 0}, 3, 2), Error);
}

// What one routing of random tokens leaves behind.
struct Routing {
  int64_t tokens, choices, width;
  Groups groups;
  Routing(int64_t n, int64_t k, int64_t c)
      : tokens(n), choices(k), width(c), groups(group(random_ids(n * k, 8, 5), 8, k)) {}
  Shape rows() const { return {tokens * choices, width}; }
};
Values gather(const Routing& r, const Values& x) {
  Bench bench;
  const Tensor rows = bench.output("rows", r.rows());
  gather_rows(
      {rows, {}, bench.input({r.tokens, r.width}, x), {}, bench.input_i32({rows.dim(0)}, r.groups.source), r.choices},
      bench.stream());
  return bench.values(rows);
}
Values combine(const Routing& r, const Values& rows, const Values& start = {}) {
  Bench bench;
  const Shape shape = {r.tokens, r.width};
  const Tensor y = start.empty() ? bench.output("y", shape) : bench.in_out("y", shape, start);
  combine_rows(
      {y, bench.input(r.rows(), rows), bench.input_i32({r.tokens, r.choices}, r.groups.row_of), !start.empty()},
      bench.stream());
  return bench.values(y);
}

TEST(RoutedRows, CombineOfGatherCountsEveryChoice) {
  const Routing r(40, 4, 6);
  const Values x = random_values(40 * 6, 6);
  Values expected = x;
  for (double& v : expected) v *= 4;
  EXPECT_EQ(combine(r, gather(r, x)), expected);  // adding equal numbers is exact
}

TEST(RoutedRows, CombineIsTheAdjointOfGather) {
  const Routing r(40, 2, 6);
  const Values x = random_values(40 * 6, 6), rows = random_values(80 * 6, 7);
  EXPECT_NEAR(dot(gather(r, x), rows), dot(x, combine(r, rows)), 1e-12);
}

TEST(RoutedRows, CombineAddsToWhatIsThere) {
  const Routing r(40, 2, 6);
  const Values rows = random_values(80 * 6, 7), start = random_values(40 * 6, 8);
  Values expected = combine(r, rows);
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += start[i];
  expect_close(combine(r, rows, start), expected, {1e-14, 1e-15}, "y");
}

TEST(RoutedRows, GatherTakesTheTokenAndItsGate) {
  Bench bench;
  const Tensor rows = bench.output("rows", {4, 2}), gate_rows = bench.output("gate_rows", {4});
  gather_rows({rows, gate_rows, bench.input({2, 2}, {1, 2, 3, 4}), bench.input({2, 2}, {0.1, 0.2, 0.3, 0.4}),
               bench.input_i32({4}, {3, 0, 2, 1}), 2},
              bench.stream());
  EXPECT_EQ(bench.values(rows), (Values{3, 4, 1, 2, 3, 4, 1, 2}));
  EXPECT_EQ(bench.values(gate_rows), (Values{0.4, 0.1, 0.3, 0.2}));
  const Tensor back = bench.output("back", {2, 2});
  ungroup_scalars({back, gate_rows, bench.input_i32({2, 2}, {1, 3, 2, 0})}, bench.stream());
  EXPECT_EQ(bench.values(back), (Values{0.1, 0.2, 0.3, 0.4}));
}

TEST(RoutedRows, RefuseIndicesOutside) {
  Bench bench;
  const Tensor x = bench.input({2, 1}, {1, 2}), rows = bench.scratch(DType::f64, {1, 1});
  const auto gather_from = [&](int32_t source) {
    gather_rows({rows, {}, x, {}, bench.input_i32({1}, {source}), 2}, bench.stream());
  };
  gather_from(3);
  EXPECT_THROW(gather_from(4), Error);
  EXPECT_THROW(gather_from(-1), Error);
  const Tensor outside = bench.input_i32({1, 1}, {2});
  EXPECT_THROW(combine_rows({bench.scratch(DType::f64, {1, 1}), x, outside}, {}), Error);
  EXPECT_THROW(ungroup_scalars({bench.scratch(DType::f64, {1, 1}), bench.input({2}, {1, 2}), outside}, {}), Error);
}

TEST(RoutingChecks, RefuseWrongShapes) {
  const OwnedTensor logits(DType::f64, {3, 4}), gate(DType::f64, {3, 2}), expert(DType::i32, {3, 2});
  const OwnedTensor wide_gate(DType::f64, {3, 5}), wide_expert(DType::i32, {3, 5}), single(DType::f32, {3, 2});
  route_forward({expert, gate, logits}, {});
  EXPECT_THROW(route_forward({wide_expert, wide_gate, logits}, {}), Error);
  EXPECT_THROW(route_forward({expert, single, logits}, {}), Error);
  EXPECT_THROW(route_forward({gate, gate, logits}, {}), Error);
  EXPECT_THROW(route_backward({logits, wide_gate, gate, expert}, {}), Error);
  EXPECT_THROW(gather_rows({logits, gate, logits, {}, OwnedTensor(DType::i32, {3}), 2}, {}), Error);
  EXPECT_THROW(combine_rows({logits, gate, expert}, {}), Error);
}

using RoutingParity = PlaceTest;

TEST_P(RoutingParity, WholeRound) {
  for (const int64_t choices : {1, 2, 4})
    for (const int64_t tokens : {1, 7, 700})
      expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
        const int64_t experts = 8, width = 13, pairs = tokens * choices;
        const Tensor expert = bench.output_i32("expert", {tokens, choices});
        const Tensor gate = bench.output_statistics("gate", {tokens, choices});
        route_forward({expert, gate, bench.input({tokens, experts}, random_values(tokens * experts, 9))},
                      bench.stream());
        const Tensor d_gate = bench.input_statistics({tokens, choices}, random_values(pairs, 10));
        route_backward({bench.output("d_logits", {tokens, experts}), d_gate, gate, expert}, bench.stream());
        const GroupByExpert groups = {bench.output_i32("begin", {experts + 1}), bench.output_i32("source", {pairs}),
                                      bench.output_i32("row_of", {tokens, choices}), expert};
        group_by_expert(groups, bench.stream());
        const Tensor rows = bench.output("rows", {pairs, width}), gate_rows = bench.output_statistics("gates", {pairs});
        const Tensor x = bench.input({tokens, width}, random_values(tokens * width, 11));
        gather_rows({rows, gate_rows, x, gate, groups.source, choices}, bench.stream());
        combine_rows({bench.output("y", {tokens, width}), rows, groups.row_of}, bench.stream());
        ungroup_scalars({bench.output_statistics("back", {tokens, choices}), gate_rows, groups.row_of}, bench.stream());
      });
}

INSTANTIATE_TEST_SUITE_P(Places, RoutingParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
