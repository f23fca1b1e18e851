// Rotary embedding: the numbers of spec 15.4 and 2.4, hand values, invariances, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/rope.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

constexpr RopeFrequencies kPlain = {.head_dim = 64, .base = 150000};
constexpr RopeFrequencies kYarn = {.head_dim = 64, .base = 150000, .factor = 32, .original_length = 4096};

void expect_frequencies(const RopeFrequencies& spec, const std::vector<std::pair<size_t, double>>& expected) {
  const std::vector<double> f = rope_frequencies(spec);
  ASSERT_EQ(f.size(), 32u);
  for (const auto& [i, value] : expected) EXPECT_NEAR(f[i] / value, 1, 6e-10) << "frequency " << i;  // ten digits
}

TEST(RopeFrequenciesTest, PlainCheckPoints) {
  expect_frequencies(kPlain, {{0, 1}, {1, 6.890443059e-1}, {16, 2.581988897e-3}, {31, 9.675236570e-6}});
  EXPECT_EQ(rope_amplitude(kPlain), 1);
}

TEST(RopeFrequenciesTest, YarnCheckPoints) {
  expect_frequencies(kYarn, {{0, 1},
                             {8, 5.081327482e-2},
                             {9, 3.170569618e-2},
                             {17, 1.293187012e-4},
                             {18, 3.830881237e-5},
                             {31, 3.023511428e-7}});
  EXPECT_NEAR(rope_amplitude(kYarn), 1.3465736, 5e-8);
}

// The ramp is linear between the bounds, so two channels inside give both bounds back.
std::pair<double, double> bounds(RopeFrequencies spec, size_t inside) {
  const std::vector<double> scaled = rope_frequencies(spec);
  spec.factor = 1;
  const std::vector<double> plain = rope_frequencies(spec);
  const auto ramp = [&](size_t i) { return (1 - scaled[i] / plain[i]) / (1 - 1.0 / 32); };
  const double slope = ramp(inside + 1) - ramp(inside);
  const double low = static_cast<double>(inside) - ramp(inside) / slope;
  return {low, low + 1 / slope};
}

TEST(RopeFrequenciesTest, YarnBoundsAreNotRounded) {
  const auto [low, high] = bounds(kYarn, 12);
  EXPECT_NEAR(low, 8.0928, 5e-5);
  EXPECT_NEAR(high, 17.3980, 5e-5);
  RopeFrequencies small = kYarn;
  small.head_dim = 16;
  const auto [small_low, small_high] = bounds(small, 3);
  EXPECT_NEAR(small_low, 2.0232, 5e-5);
  EXPECT_NEAR(small_high, 4.3495, 5e-5);
}

// DeepSeek-V3's numbers (spec 2.5, 15.4): whole bounds, all of the magnitude in the softmax scale.
constexpr RopeFrequencies kWhole = {
    .head_dim = 64, .base = 10000, .factor = 40, .original_length = 4096, .round_bounds = true, .mscale_all_dim = 1};

TEST(RopeFrequenciesTest, WholeBoundsCheckPoints) {
  expect_frequencies(kWhole, {{0, 1},
                              {10, 5.623413252e-2},
                              {11, 3.900692657e-2},
                              {16, 5.5e-3},
                              {22, 1.778279410e-4},
                              {23, 3.333803580e-5},
                              {31, 3.333803580e-6}});
  EXPECT_EQ(rope_amplitude(kWhole), 1);
  EXPECT_NEAR(rope_score_factor(kWhole) / std::sqrt(192.0), 0.1352338, 5e-8);
  EXPECT_NEAR(rope_score_factor(kWhole), 1.873854, 5e-7);
  EXPECT_EQ(rope_score_factor(kYarn), 1);
  EXPECT_EQ(rope_score_factor(kPlain), 1);
}

// Spec 15.3: rope 8: 1/3; rope 16: 2/6. At and above the upper bound a frequency is divided, at the lower it is kept.
TEST(RopeFrequenciesTest, WholeBoundsOfSmallHeads) {
  for (const auto& [head_dim, low, high] : {std::tuple<int64_t, size_t, size_t>{8, 1, 3}, {16, 2, 6}, {64, 10, 23}}) {
    RopeFrequencies spec = kWhole;
    spec.head_dim = head_dim;
    const std::vector<double> scaled = rope_frequencies(spec);
    spec.factor = 1;
    const std::vector<double> plain = rope_frequencies(spec);
    for (size_t i = 0; i < plain.size(); ++i) {
      const double ramp =
          std::clamp((static_cast<double>(i) - static_cast<double>(low)) / static_cast<double>(high - low), 0.0, 1.0);
      EXPECT_NEAR(scaled[i] / plain[i], ramp / 40 + (1 - ramp), 1e-12) << head_dim << " pair " << i;
    }
  }
}

// A context so short that both bounds fall on pair 0: a step, not a division by zero.
TEST(RopeFrequenciesTest, WholeBoundsThatMeetAreAStep) {
  RopeFrequencies spec = kWhole;
  spec.original_length = 1;
  const std::vector<double> scaled = rope_frequencies(spec);
  spec.factor = 1;
  const std::vector<double> plain = rope_frequencies(spec);
  EXPECT_EQ(scaled[0], plain[0]);
  for (size_t i = 1; i < plain.size(); ++i) EXPECT_NEAR(scaled[i], plain[i] / 40, 1e-15);
}

TEST(RopeFrequenciesTest, RefusesWhatHasNoMeaning) {
  const auto refuses = [](void (*change)(RopeFrequencies&)) {
    RopeFrequencies spec = kYarn;
    change(spec);
    EXPECT_THROW(rope_frequencies(spec), UserError);
    EXPECT_THROW(rope_amplitude(spec), UserError);
  };
  refuses([](RopeFrequencies& s) { s.head_dim = 7; });
  refuses([](RopeFrequencies& s) { s.head_dim = 0; });
  refuses([](RopeFrequencies& s) { s.base = 1; });
  refuses([](RopeFrequencies& s) { s.base = std::numeric_limits<double>::quiet_NaN(); });
  refuses([](RopeFrequencies& s) { s.factor = 0.5; });
  refuses([](RopeFrequencies& s) { s.original_length = 0; });
  refuses([](RopeFrequencies& s) { s.beta_fast = s.beta_slow; });
  refuses([](RopeFrequencies& s) { s.beta_slow = 0; });
  refuses([](RopeFrequencies& s) { s.mscale_all_dim = -1; });
}

RopeTable make_table(Bench& bench, int64_t length, const RopeFrequencies& spec) {
  const RopeTable table = {bench.output_statistics("cos", {length, spec.head_dim / 2}),
                           bench.output_statistics("sin", {length, spec.head_dim / 2})};
  fill_rope_table(table, spec, bench.stream());
  return table;
}

TEST(RopeTableTest, HoldsAmplitudeTimesCosineAndSine) {
  Bench bench;
  const RopeTable table = make_table(bench, 5, kYarn);
  const Values cosines = bench.values(table.cos), sines = bench.values(table.sin);
  const std::vector<double> f = rope_frequencies(kYarn);
  for (size_t position = 0; position < 5; ++position)
    for (size_t i = 0; i < 32; ++i) {
      EXPECT_NEAR(cosines[position * 32 + i], 1.3465735902799727 * std::cos(static_cast<double>(position) * f[i]),
                  1e-14);
      EXPECT_NEAR(sines[position * 32 + i], 1.3465735902799727 * std::sin(static_cast<double>(position) * f[i]), 1e-14);
    }
}

TEST(RopeTableTest, RefusesOtherShapes) {
  const OwnedTensor cosines(DType::f32, {4, 32}), narrow(DType::f32, {4, 16}), sideways(DType::f32, {2, 64});
  EXPECT_THROW(fill_rope_table({cosines, narrow}, kPlain, {}), Error);
  EXPECT_THROW(fill_rope_table({cosines, sideways}, kPlain, {}), Error);
  EXPECT_THROW(fill_rope_table({narrow, narrow}, kPlain, {}), Error);
}

// x (rows, width) after the turn.
struct Turn {
  int64_t length, width, heads;
  RopeFrequencies spec;
  bool backward = false;
};
Values turn(const Values& x, const Turn& t) {
  Bench bench;
  const RopeTable table = make_table(bench, t.length, t.spec);
  const Tensor out = bench.in_out("x", {static_cast<int64_t>(x.size()) / t.width, t.width}, x);
  const Rope rope = {out, table.cos, table.sin, t.heads};
  t.backward ? rope_backward(rope, bench.stream()) : rope_forward(rope, bench.stream());
  return bench.values(out);
}

TEST(RopeReference, TurnsPairsHalfAHeadApartByPosition) {
  const double c = std::cos(1.0), s = std::sin(1.0), c2 = std::cos(1e-2), s2 = std::sin(1e-2);
  const RopeFrequencies spec = {.head_dim = 4, .base = 1e4};  // frequencies 1 and 1e-2
  // Two sequences of two tokens; the last channel belongs to no head.
  const Values x = {1, 2, 3, 4, 9, 1, 2, 3, 4, 9, 5, 6, 7, 8, 9, 5, 6, 7, 8, 9};
  const Values expected = {1, 2, 3, 4, 9, c - 3 * s,     2 * c2 - 4 * s2, 3 * c + s,     4 * c2 + 2 * s2, 9,
                           5, 6, 7, 8, 9, 5 * c - 7 * s, 6 * c2 - 8 * s2, 7 * c + 5 * s, 8 * c2 + 6 * s2, 9};
  expect_close(turn(x, {2, 5, 1, spec}), expected, {1e-14, 0}, "x");
}

TEST(RopeReference, BackwardUndoesForward) {
  const Values x = random_values(3 * 7 * 200, 1);
  const Turn forward = {7, 200, 3, kPlain};
  Turn backward = forward;
  backward.backward = true;
  expect_close(turn(turn(x, forward), backward), x, {1e-13, 1e-15}, "x");
}

TEST(RopeReference, BackwardIsTheAdjointWithAmplitude) {
  const Values x = random_values(7 * 128, 1), y = random_values(7 * 128, 2);
  const double forward = dot(turn(x, {7, 128, 2, kYarn}), y), backward = dot(x, turn(y, {7, 128, 2, kYarn, true}));
  EXPECT_NEAR(forward, backward, 1e-12);
}

TEST(RopeReference, ScoresDependOnTheDistanceAlone) {
  const int64_t length = 12;
  const Values one = random_values(64, 3), other = random_values(64, 4);
  Values q, k;
  for (int64_t t = 0; t < length; ++t) {
    q.insert(q.end(), one.begin(), one.end());
    k.insert(k.end(), other.begin(), other.end());
  }
  q = turn(q, {length, 64, 1, kPlain});
  k = turn(k, {length, 64, 1, kPlain});
  const auto score = [&](int64_t i, int64_t j) {
    return dot({q.begin() + i * 64, q.begin() + (i + 1) * 64}, {k.begin() + j * 64, k.begin() + (j + 1) * 64});
  };
  for (int64_t distance = 0; distance < 5; ++distance)
    for (int64_t i = distance + 1; i < length; ++i)
      EXPECT_NEAR(score(i, i - distance), score(distance, 0), 1e-12) << distance;
  EXPECT_GT(std::fabs(score(3, 0) - score(0, 0)), 1e-3);
}

TEST(RopeChecks, RefuseWrongShapes) {
  Bench bench;
  const RopeTable table = make_table(bench, 4, {.head_dim = 8, .base = 1e4});
  const auto run = [&](Shape shape, int64_t heads) {
    rope_forward({bench.scratch(DType::f64, shape), table.cos, table.sin, heads}, bench.stream());
  };
  run({8, 16}, 2);
  EXPECT_THROW(run({7, 16}, 2), Error);
  EXPECT_THROW(run({8, 16}, 3), Error);
  EXPECT_THROW(run({8, 16}, 0), Error);
  EXPECT_THROW(run({8, 2, 8}, 1), Error);
  EXPECT_THROW(rope_forward({bench.scratch(DType::f32, {8, 16}), table.cos, table.sin, 2}, bench.stream()), Error);
}

using RopeParity = PlaceTest;

TEST_P(RopeParity, ForwardAndBackward) {
  for (const int64_t head_dim : {2, 6, 16, 64})
    for (const int64_t length : {1, 5, 130})
      expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
        const RopeFrequencies spec = {.head_dim = head_dim, .base = 150000, .factor = 32, .original_length = 4096};
        const RopeTable table = make_table(bench, length, spec);
        const Shape shape = {3 * length, 3 * head_dim + 5};
        const Tensor forward = bench.in_out("forward", shape, random_values(shape, 5));
        rope_forward({forward, table.cos, table.sin, 3}, bench.stream());
        const Tensor backward = bench.in_out("backward", shape, random_values(shape, 6));
        rope_backward({backward, table.cos, table.sin, 2}, bench.stream());
      });
}

INSTANTIATE_TEST_SUITE_P(Places, RopeParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
