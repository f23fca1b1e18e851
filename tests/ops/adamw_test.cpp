// AdamW: a trajectory computed by hand, decay, aliasing, norm and clip, and parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/adamw.h"

#include <cstring>

#include "fixtures/bench.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary
using Values = std::vector<double>;

std::vector<int32_t> packed(const StepScalars& scalars) {
  std::vector<int32_t> words(6);
  std::memcpy(words.data(), &scalars, sizeof scalars);
  return words;
}

// One parameter's state through a few steps, with scalars exactly representable in fp32.
struct State {
  Values weight, master, moment_1, moment_2;
};

constexpr double kBeta1 = 0.5, kBeta2 = 0.75, kEpsilon = 0.125, kDecay = 0.25;

State step(const State& from, const Values& gradient, const StepScalars& scalars, double coefficient,
           const std::vector<ParameterSegment>& segments) {
  Bench bench;
  const auto count = static_cast<int64_t>(gradient.size());
  const Shape shape{count};
  const Tensor weight = bench.in_out("weight", shape, from.weight), master = bench.in_out("master", shape, from.master),
               m = bench.in_out("m", shape, from.moment_1), v = bench.in_out("v", shape, from.moment_2);
  adamw({.weight = weight,
         .master = master,
         .moment_1 = m,
         .moment_2 = v,
         .gradient = bench.input(shape, gradient),
         .coefficient = bench.input({1}, {coefficient}),
         .scalars = bench.input_i32({6}, packed(scalars)),
         .beta_1 = kBeta1,
         .beta_2 = kBeta2,
         .epsilon = kEpsilon,
         .weight_decay = kDecay},
        segments, bench.stream());
  return {bench.values(weight), bench.values(master), bench.values(m), bench.values(v)};
}

StepScalars scalars_at(int64_t step, float learning_rate) {
  const auto t = static_cast<double>(step + 1);
  return {.learning_rate = learning_rate,
          .bias_1 = static_cast<float>(1 - std::pow(kBeta1, t)),
          .bias_2 = static_cast<float>(1 - std::pow(kBeta2, t)),
          .step = step};
}

TEST(AdamWReference, ThreeStepsByHand) {
  // beta 1/2 and 3/4, epsilon 1/8, decay 1/4, learning rate 1/2, clip coefficient 1/2: gradients 4, -2, 0 count as
  // 2, -1, 0. Start at p = 1.
  // t=1: m = 1, v = 1; m^ = 1/(1/2) = 2, v^ = 1/(1/4) = 4; p = 1 - (2/(2 + 1/8) + 1/4)/2.
  // t=2: m = 0, v = 3/4 + 1/4 = 1; m^ = 0; p -= (p/4)/2.
  // t=3: m = 0, v = 3/4; m^ = 0; p -= (p/4)/2.
  const std::vector<ParameterSegment> all = {{0, 1, true, 1}};
  State s{{NAN}, {1}, {0}, {0}};
  s = step(s, {4}, scalars_at(0, 0.5f), 0.5, all);
  const double p1 = 1 - (16.0 / 17 + 0.25) / 2;
  EXPECT_EQ(s.moment_1[0], 1);
  EXPECT_EQ(s.moment_2[0], 1);
  EXPECT_DOUBLE_EQ(s.master[0], p1);
  s = step(s, {-2}, scalars_at(1, 0.5f), 0.5, all);
  EXPECT_EQ(s.moment_1[0], 0);
  EXPECT_EQ(s.moment_2[0], 1);
  EXPECT_DOUBLE_EQ(s.master[0], p1 * 0.875);
  s = step(s, {0}, scalars_at(2, 0.5f), 0.5, all);
  EXPECT_EQ(s.moment_2[0], 0.75);
  EXPECT_DOUBLE_EQ(s.master[0], p1 * 0.875 * 0.875);
  EXPECT_EQ(s.weight, s.master);
}

TEST(AdamWReference, MomentsRememberEarlierGradients) {
  // Gradients 1, then 3, no clip, no decay. t=2: m = 1/4 + 3/2 = 7/4, v = 3/16 + 9/4 = 39/16.
  const std::vector<ParameterSegment> all = {{0, 1, false, 1}};
  State s{{NAN}, {2}, {0}, {0}};
  s = step(s, {1}, scalars_at(0, 0.5f), 1, all);
  const double p1 = 2 - 0.5 * (1 / (1 + 0.125));
  EXPECT_DOUBLE_EQ(s.master[0], p1);
  s = step(s, {3}, scalars_at(1, 0.5f), 1, all);
  EXPECT_EQ(s.moment_1[0], 1.75);
  EXPECT_EQ(s.moment_2[0], 39.0 / 16);
  const double m_hat = 1.75 / 0.75, v_hat = 39.0 / 16 / (7.0 / 16);
  EXPECT_DOUBLE_EQ(s.master[0], p1 - 0.5 * (m_hat / (std::sqrt(v_hat) + 0.125)));
}

TEST(AdamWReference, DecayAndRangesFollowTheSegments) {
  // No gradient: only decay moves a weight. Element 3 belongs to no segment and keeps its old weight.
  const State s = step({{9, 9, 9, 9}, {8, 8, 8, 8}, {0, 0, 0, 0}, {0, 0, 0, 0}}, {0, 0, 0, 5}, scalars_at(0, 0.5f), 1,
                       {{0, 2, true, 1}, {2, 3, false, 1}});
  EXPECT_EQ(s.master, (Values{7, 7, 8, 8}));
  EXPECT_EQ(s.weight, (Values{7, 7, 8, 9}));
  EXPECT_EQ(s.moment_1[3], 0);
}

TEST(AdamWReference, StepZeroWithLearningRateZeroOnlyMovesMoments) {
  const State s = step({{0}, {3}, {0}, {0}}, {4}, scalars_at(0, 0), 1, {{0, 1, true, 1}});
  EXPECT_EQ(s.master[0], 3);
  EXPECT_EQ(s.moment_1[0], 2);
  EXPECT_EQ(s.moment_2[0], 4);
}

TEST(AdamWReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor p = bench.scratch(DType::f64, {4}), narrow = bench.scratch(DType::f32, {4}),
               one = bench.scratch(DType::f64, {1}), scalars = bench.input_i32({6}, packed(scalars_at(0, 1)));
  AdamW good{.weight = p,
             .master = p,
             .moment_1 = p,
             .moment_2 = p,
             .gradient = p,
             .coefficient = one,
             .scalars = scalars,
             .beta_1 = 0,
             .beta_2 = 0,
             .epsilon = 1,
             .weight_decay = 0};
  const std::vector<ParameterSegment> past = {{0, 5, true, 1}}, reversed = {{3, 2, true, 1}}, fine = {{0, 4, true, 1}};
  EXPECT_THROW(adamw(good, past, bench.stream()), Error);
  EXPECT_THROW(adamw(good, reversed, bench.stream()), Error);
  AdamW bad = good;
  bad.moment_2 = narrow;
  EXPECT_THROW(adamw(bad, fine, bench.stream()), Error);
  bad = good;
  bad.coefficient = p;
  EXPECT_THROW(adamw(bad, fine, bench.stream()), Error);
  EXPECT_THROW(squared_norm({.out = one, .gradient = p}, past, bench.stream()), Error);
  EXPECT_THROW(clip_coefficient({.norm = one, .coefficient = one, .squared = one, .clip_norm = 0}, bench.stream()),
               Error);
}

TEST(SquaredNormReference, WeighsSegmentsAndAccumulates) {
  Bench bench;
  const Tensor out = bench.in_out("out", {1}, {1000});
  squared_norm({.out = out, .gradient = bench.input({5}, {1, 2, 3, 4, 100})},
               std::vector<ParameterSegment>{{0, 2, true, 1}, {2, 4, false, 0.25}}, bench.stream());
  EXPECT_EQ(bench.values(out), (Values{1000 + 5 + 25 * 0.25}));
}

struct Clip {
  double norm, coefficient;
};
Clip clip(double squared) {
  Bench bench;
  const Tensor norm = bench.output("norm", {1}), coefficient = bench.output("coefficient", {1});
  clip_coefficient({.norm = norm, .coefficient = coefficient, .squared = bench.input({1}, {squared}), .clip_norm = 2},
                   bench.stream());
  return {bench.values(norm)[0], bench.values(coefficient)[0]};
}

TEST(ClipReference, BelowAboveZeroAndNan) {
  EXPECT_EQ(clip(2.25).norm, 1.5);
  EXPECT_EQ(clip(2.25).coefficient, 1);
  EXPECT_EQ(clip(0).coefficient, 1);
  EXPECT_EQ(clip(64).norm, 8);
  EXPECT_DOUBLE_EQ(clip(64).coefficient, 2 / (8 + 1e-6));
  EXPECT_TRUE(std::isnan(clip(NAN).coefficient));
}

class AdamWParity : public PlaceTest {};

TEST_P(AdamWParity, Update) {
  // A narrow weight and gradient, where the place is narrow, beside an fp32 master and moments.
  const std::vector<ParameterSegment> segments = {{0, 17, true, 1}, {17, 40000, false, 1}, {40001, 70001, true, 0.5}};
  const Shape shape{70003};
  expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
    adamw({.weight = bench.in_out("weight", shape, random_values(shape, 1)),
           .master = bench.in_out_statistics("master", shape, random_values(shape, 2)),
           .moment_1 = bench.in_out_statistics("m", shape, random_values(shape, 3, 0.1, 1)),
           .moment_2 = bench.in_out_statistics("v", shape, random_values(shape, 4, 0.1, 1)),
           .gradient = bench.input(shape, random_values(shape, 5, 0.1, 1)),
           .coefficient = bench.input_statistics({1}, {0.75}),
           .scalars = bench.input_i32({6}, packed(scalars_at(3, 1e-3f))),
           .beta_1 = 0.9,
           .beta_2 = 0.95,
           .epsilon = 1e-5,
           .weight_decay = 0.1},
          segments, bench.stream());
  });
}

TEST_P(AdamWParity, WeightMayBeTheMaster) {
  const Shape shape{1031};
  expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
    const Tensor both = bench.in_out_statistics("master", shape, random_values(shape, 2));
    adamw({.weight = both,
           .master = both,
           .moment_1 = bench.in_out_statistics("m", shape, Values(1031, 0.0)),
           .moment_2 = bench.in_out_statistics("v", shape, Values(1031, 0.0)),
           .gradient = bench.input(shape, random_values(shape, 5)),
           .coefficient = bench.input_statistics({1}, {1}),
           .scalars = bench.input_i32({6}, packed(scalars_at(0, 1e-3f))),
           .beta_1 = 0.9,
           .beta_2 = 0.95,
           .epsilon = 1e-5,
           .weight_decay = 0.1},
          std::vector<ParameterSegment>{{0, 1031, true, 1}}, bench.stream());
  });
}

TEST_P(AdamWParity, SquaredNormAndClip) {
  for (const int64_t count : {1, 4096, 100003}) {
    const std::vector<ParameterSegment> segments = {{0, count / 3, true, 1}, {count / 3, count, true, 0.5}};
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Tensor squared = bench.in_out_statistics("squared", {1}, {0.5});
      const OwnedTensor partials(DType::f64, {kNormPartials}, bench.stream().device);
      squared_norm({.out = squared, .gradient = bench.input({count}, random_values(count, 1)), .workspace = partials},
                   segments, bench.stream());
      clip_coefficient({.norm = bench.output_statistics("norm", {1}),
                        .coefficient = bench.output_statistics("coefficient", {1}),
                        .squared = squared,
                        .clip_norm = 1},
                       bench.stream());
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, AdamWParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
