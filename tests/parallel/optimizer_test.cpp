// The optimizer against AdamW, norm and clip written out by hand over two groups (spec 8.1, 8.2).
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace timetrial {
namespace {

constexpr OptimizerSettings kSettings{
    .beta_1 = 0.9, .beta_2 = 0.95, .epsilon = 1e-5, .weight_decay = 0.1, .clip_norm = 1.0};
constexpr double kGradients[] = {3.0, -2.0, 0.5, 4.0};
constexpr double kDecay[] = {1, 0, 1, 1}, kNormWeight[] = {1, 1, 1, 0.25};

// One element each: decayed, not decayed, expert, one of four replicas.
ParameterList four_parameters() {
  ParameterList list;
  list.add({.name = "matrix", .shape = {1}, .init = {.constant = 1}});
  list.add({.name = "bias", .shape = {1}, .decay = false, .init = {.constant = 1}});
  list.add({.name = "expert", .shape = {1}, .reduce = ReduceGroup::expert, .init = {.constant = 1}});
  list.add({.name = "replica", .shape = {1}, .norm_weight = 0.25, .init = {.constant = 1}});
  return list;
}

void set_gradients(const ParameterStore& store, int step, double size) {
  for (int i = 0; i < 4; ++i) from_host(store.grad({i}), {size * kGradients[i] * (1 + step)}, {});
}

void expect_updates_by_hand(double size) {
  ParameterStore store(four_parameters(), DType::f64, {});
  store.initialize(1, {});
  Optimizer optimizer(store, kSettings, {});
  double p[] = {1, 1, 1, 1}, m[4] = {}, v[4] = {};
  for (int step = 0; step < 3; ++step) {
    set_gradients(store, step, size);
    const double rate = 0.01 * (step + 1);
    optimizer.set_scalars(step_scalars(kSettings, rate, step), {});
    optimizer.update({});

    double squared = 0;
    for (int i = 0; i < 4; ++i) squared += kNormWeight[i] * std::pow(size * kGradients[i] * (1 + step), 2);
    const double norm = std::sqrt(squared), clip = std::min(1.0, 1 / (norm + 1e-6));
    EXPECT_NEAR(to_host(optimizer.gradient_norm(), {})[0], norm, 1e-12 * norm);
    for (int i = 0; i < 4; ++i) {
      const double g = clip * size * kGradients[i] * (1 + step);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double m_hat = m[i] / (1 - std::pow(0.9, step + 1)), v_hat = v[i] / (1 - std::pow(0.95, step + 1));
      p[i] -= rate * (m_hat / (std::sqrt(v_hat) + 1e-5) + 0.1 * kDecay[i] * p[i]);
      // Rates and bias corrections are fp32 on the device.
      EXPECT_NEAR(to_host(store.weight({i}), {})[0], p[i], 1e-7) << "parameter " << i << ", step " << step;
    }
  }
}

TEST(Optimizer, ClipsALargeGradient) { expect_updates_by_hand(1); }
// Near epsilon in size, where the scale of a gradient shows.
TEST(Optimizer, LeavesASmallGradientAsItIs) { expect_updates_by_hand(1e-5); }

// Shard borders cut through parameters with different treatment: each element must keep its own.
TEST(Optimizer, SegmentsOfAShardCoverItsParametersOnce) {
  ParameterList list;
  list.add({.name = "a", .shape = {100}});
  list.add({.name = "b", .shape = {100}, .decay = false});
  list.add({.name = "c", .shape = {100}, .norm_weight = 0.5});
  list.add({.name = "d", .shape = {100}});
  std::vector<std::pair<bool, double>> seen;  // in storage order: d, c, b, a
  int64_t next = 0;
  for (int index = 0; index < 3; ++index) {
    const ParameterStore store(list, DType::f32, {}, {.index = index, .count = 3});
    const ParameterStore::Group& group = store.groups().front();
    EXPECT_EQ(group.shard_begin, next);
    EXPECT_EQ(group.shard_end - group.shard_begin, group.moment_1.elements());
    next = group.shard_end;
    for (const ops::ParameterSegment& segment : group.segments) {
      EXPECT_EQ(group.shard_begin + segment.begin, static_cast<int64_t>(seen.size()));
      for (int64_t i = segment.begin; i < segment.end; ++i) seen.emplace_back(segment.decay, segment.norm_weight);
    }
  }
  ASSERT_EQ(seen.size(), 400U);
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], std::pair(i / 100 != 2, i / 100 == 1 ? 0.5 : 1.0)) << i;
}

TEST(ParameterStore, MasterWeightsStartAsTheWeights) {
  ParameterList list;
  list.add({.name = "w", .shape = {300}, .init = {.standard_deviation = 1}});
  for (int index = 0; index < 2; ++index) {
    ParameterStore store(list, DType::bf16, {}, {.index = index, .count = 2});
    store.initialize(9, {});
    const ParameterStore::Group& group = store.groups().front();
    EXPECT_EQ(group.master.dtype(), DType::f32);
    EXPECT_EQ(to_host(group.master, {}), to_host(group.weights.rows(group.shard_begin, group.shard_end), {}));
  }
}

}  // namespace
}  // namespace timetrial
