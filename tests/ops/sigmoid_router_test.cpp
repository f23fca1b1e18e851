// Sigmoid router: hand values, a second selection by sorting, what the bias may and may not do, gradients, parity.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sigmoid_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

struct Case {
  int64_t tokens, experts, choices, groups, kept;
  double scaling = 2.5;
};

struct Routed {
  Tensor expert, gate, score;
};
Routed forward(Bench& bench, const Case& c, const Values& logits, const Values& bias) {
  const Routed r = {bench.output_i32("expert", {c.tokens, c.choices}),
                    bench.output_statistics("gate", {c.tokens, c.choices}),
                    bench.output_statistics("score", {c.tokens, c.experts})};
  sigmoid_route_forward({.expert = r.expert,
                         .gate = r.gate,
                         .score = r.score,
                         .logits = bench.input({c.tokens, c.experts}, logits),
                         .bias = bench.input_statistics({c.experts}, bias),
                         .groups = c.groups,
                         .kept_groups = c.kept,
                         .scaling = c.scaling},
                        bench.stream());
  return r;
}

double sigma(double z) { return 1 / (1 + std::exp(-z)); }

// Four groups of two, two kept, two chosen: the best group by its best expert each.
TEST(SigmoidRouter, HandValues) {
  Bench bench;
  const Case c = {1, 8, 2, 4, 2};
  const Routed r = forward(bench, c, {0, 1, 4, -9, 2, 2, 3, -9}, Values(8, 0.0));
  EXPECT_EQ(bench.values(r.expert), (Values{2, 6}));
  const double s2 = sigma(4), s6 = sigma(3);
  expect_close(bench.values(r.gate), {2.5 * s2 / (s2 + s6), 2.5 * s6 / (s2 + s6)}, {1e-14, 0}, "gate");
  EXPECT_NEAR(bench.values(r.score)[1], sigma(1), 1e-15);
}

// With two choices per kept group a group counts by the sum of its two best, not by its best.
TEST(SigmoidRouter, GroupsCountBySumOfTheirBestTwo) {
  Bench bench;
  const Case c = {1, 6, 2, 3, 1};
  const Routed r = forward(bench, c, {5, -5, 2, 2, 1, 1}, Values(6, 0.0));
  EXPECT_EQ(bench.values(r.expert), (Values{2, 3}));
}

TEST(SigmoidRouter, BiasChoosesButDoesNotWeigh) {
  Bench bench;
  const Case c = {1, 4, 2, 2, 2};
  const Routed plain = forward(bench, c, {1, 0, 1, 0}, Values(4, 0.0));
  EXPECT_EQ(bench.values(plain.expert), (Values{0, 2}));
  const Routed biased = forward(bench, c, {1, 0, 1, 0}, {0, 0.5, 0, 0.25});
  EXPECT_EQ(bench.values(biased.expert), (Values{1, 3}));  // in the order of score + bias
  expect_close(bench.values(biased.gate), {1.25, 1.25}, {1e-14, 0}, "gate");
}

TEST(SigmoidRouter, TiesGoToTheLowerId) {
  Bench bench;
  const Routed r = forward(bench, {1, 8, 4, 4, 2}, Values(8, 0.5), Values(8, 0.0));
  EXPECT_EQ(bench.values(r.expert), (Values{0, 1, 2, 3}));
}

// A negative bias must not make experts of dropped groups look better than kept ones.
TEST(SigmoidRouter, DroppedGroupsStayOut) {
  Bench bench;
  const Routed r = forward(bench, {1, 4, 2, 2, 1}, {2, 2, 1, 1}, {-3, -3, -4, -4});
  EXPECT_EQ(bench.values(r.expert), (Values{0, 1}));
}

// The spec's words over again, with sorting.
std::vector<double> select_by_sorting(const Values& biased, const Case& c) {
  const int64_t size = c.experts / c.groups;
  std::vector<std::pair<double, int64_t>> groups;
  for (int64_t g = 0; g < c.groups; ++g) {
    Values of(biased.begin() + g * size, biased.begin() + (g + 1) * size);
    std::sort(of.rbegin(), of.rend());
    groups.emplace_back(-std::accumulate(of.begin(), of.begin() + c.choices / c.kept, 0.0), g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<double, int64_t>> left;
  for (int64_t k = 0; k < c.kept; ++k)
    for (int64_t e = 0; e < size; ++e) {
      const int64_t id = groups[static_cast<size_t>(k)].second * size + e;
      left.emplace_back(-biased[static_cast<size_t>(id)], id);
    }
  std::sort(left.begin(), left.end());
  std::vector<double> ids;
  for (int64_t k = 0; k < c.choices; ++k) ids.push_back(static_cast<double>(left[static_cast<size_t>(k)].second));
  return ids;
}

TEST(SigmoidRouter, SelectsAsSortingDoes) {
  for (const Case& c :
       {Case{200, 256, 8, 8, 4}, Case{200, 16, 4, 4, 2}, Case{200, 12, 3, 1, 1}, Case{50, 6, 6, 3, 3}}) {
    Bench bench;
    const Values logits = random_values({c.tokens, c.experts}, 5, -3, 3), bias = random_values(c.experts, 6, -0.3, 0.3);
    const Routed r = forward(bench, c, logits, bias);
    const Values ids = bench.values(r.expert), gates = bench.values(r.gate);
    for (int64_t t = 0; t < c.tokens; ++t) {
      Values biased;
      for (int64_t e = 0; e < c.experts; ++e)
        biased.push_back(sigma(logits[static_cast<size_t>(t * c.experts + e)]) + bias[static_cast<size_t>(e)]);
      const Values expected = select_by_sorting(biased, c);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), ids.begin() + t * c.choices)) << "token " << t;
      EXPECT_NEAR(std::accumulate(gates.begin() + t * c.choices, gates.begin() + (t + 1) * c.choices, 0.0), 2.5, 1e-12);
    }
  }
}

TEST(SigmoidRouter, NanLogitsGiveValidIdsAndNanGates) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    Bench bench(StreamRef{}, dtype);
    const Routed r =
        forward(bench, {1, 8, 4, 4, 2}, Values(8, std::numeric_limits<double>::quiet_NaN()), Values(8, 0.0));
    for (const double id : bench.values(r.expert)) EXPECT_TRUE(id >= 0 && id < 8);
    for (const double gate : bench.values(r.gate)) EXPECT_TRUE(std::isnan(gate));
  }
}

// d_score, given from outside, reaches every expert; the gates' share only the chosen ones.
TEST(SigmoidRouter, GradientsAreCentralDifferences) {
  for (const bool with_score : {false, true}) {
    const Case c = {5, 12, 4, 4, 2};
    const Values logits = random_values({c.tokens, c.experts}, 7, -2, 2), bias = random_values(c.experts, 8, -0.2, 0.2);
    const Values d_gate = random_values({c.tokens, c.choices}, 9);
    const Values d_score = with_score ? random_values({c.tokens, c.experts}, 10) : Values(60, 0.0);
    Bench bench;
    const Routed r = forward(bench, c, logits, bias);
    const Tensor d_logits = bench.output("d_logits", {c.tokens, c.experts});
    sigmoid_route_backward({.d_logits = d_logits,
                            .d_gate = bench.input({c.tokens, c.choices}, d_gate),
                            .expert = r.expert,
                            .score = r.score,
                            .scaling = c.scaling,
                            .d_score = with_score ? bench.input({c.tokens, c.experts}, d_score) : Tensor{}},
                           {});
    expect_gradients(
        [&](const std::vector<Values>& at) {
          Bench fresh;
          const Routed moved = forward(fresh, c, at[0], bias);
          return dot(fresh.values(moved.gate), d_gate) + dot(fresh.values(moved.score), d_score);
        },
        {{"logits", logits, bench.values(d_logits)}});
  }
}

class SigmoidRouterParity : public PlaceTest {};

TEST_P(SigmoidRouterParity, ForwardAndBackward) {
  for (const Case& c : {Case{33, 256, 8, 8, 4}, Case{7, 16, 4, 4, 2}, Case{1, 4, 4, 2, 2}})
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Routed r =
          forward(bench, c, random_values({c.tokens, c.experts}, 11, -4, 4), random_values(c.experts, 12, -0.1, 0.1));
      const Tensor d_logits = bench.output("d_logits", {c.tokens, c.experts});
      sigmoid_route_backward(
          {.d_logits = d_logits,
           .d_gate = bench.input_statistics({c.tokens, c.choices}, random_values({c.tokens, c.choices}, 13)),
           .expert = r.expert,
           .score = r.score,
           .scaling = c.scaling,
           .d_score = bench.input_statistics({c.tokens, c.experts}, random_values({c.tokens, c.experts}, 14))},
          bench.stream());
    });
}

// Of equal scores the lowest ids are chosen, also where other threads hold them.
TEST_P(SigmoidRouterParity, EqualScores) {
  const Case c = {.tokens = 9, .experts = 256, .choices = 8, .groups = 8, .kept = 4};
  Values logits(static_cast<size_t>(c.tokens * c.experts));
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = i * 7 % 11 < 3 ? 1 : 0;
  expect_parity(dtype(), stream(), OpClass::reduction,
                [&](Bench& bench) { forward(bench, c, logits, Values(static_cast<size_t>(c.experts), 0.0)); });
}

INSTANTIATE_TEST_SUITE_P(Places, SigmoidRouterParity, ::testing::ValuesIn(places()), place_test_name);

TEST(SigmoidRouter, RefusesWhatDoesNotFit) {
  const OwnedTensor logits(DType::f32, {3, 8}), bias(DType::f32, {8}), expert(DType::i32, {3, 4}),
      gate(DType::f32, {3, 4});
  const OwnedTensor score(DType::f32, {3, 8}), other(DType::f32, {3, 4});
  fill_zero(logits.view().raw(), logits.view().bytes(), {});
  fill_zero(bias.view().raw(), bias.view().bytes(), {});
  const auto route = [&](int64_t groups, int64_t kept) {
    sigmoid_route_forward({expert, gate, score, logits, bias, groups, kept, 2.5}, {});
  };
  EXPECT_NO_THROW(route(4, 2));
  EXPECT_THROW(route(3, 2), Error);  // does not divide 8
  EXPECT_THROW(route(4, 5), Error);  // more than there are
  EXPECT_THROW(route(8, 3), Error);  // 4 choices from 3 groups
  EXPECT_THROW(route(8, 2), Error);  // two choices from a group of one
  EXPECT_THROW(route(0, 1), Error);
  EXPECT_THROW(sigmoid_route_forward({expert, gate, other, logits, bias, 4, 2, 2.5}, {}), Error);
  Bench bench;
  const Tensor outside = bench.input_i32({3, 4}, std::vector<int32_t>(12, 8));
  EXPECT_THROW(sigmoid_route_backward({logits, gate, outside, score, 2.5}, {}), Error);
}

}  // namespace
}  // namespace timetrial::ops
