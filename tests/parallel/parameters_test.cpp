// Flat parameter storage: layout, shards, starting values, gradient accounting; the optimizer on shards equals the
// whole. SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "timetrial/parallel/optimizer.h"

namespace timetrial {
namespace {

ParameterList some_parameters() {
  ParameterList list;
  list.add({.name = "a.weight", .shape = {7, 5}, .init = {.standard_deviation = 0.5}});
  list.add({.name = "a.bias", .shape = {7}, .decay = false, .init = {.constant = 1}});
  list.add({.name = "experts", .shape = {3, 11, 2}, .reduce = ReduceGroup::expert, .init = {.standard_deviation = 2}});
  list.add({.name = "tied", .shape = {13}, .uses = 2, .init = {.standard_deviation = 1}});
  return list;
}

TEST(ParameterList, RefusesTwoOfAName) {
  ParameterList list = some_parameters();
  EXPECT_THROW(list.add({.name = "tied", .shape = {1}}), Error);
  EXPECT_EQ(list.elements(), 35 + 7 + 66 + 13);
}

TEST(ParameterStore, ParametersDoNotOverlap) {
  ParameterStore store(some_parameters(), DType::f32, {});
  for (int i = 0; i < store.list().size(); ++i) {
    const Tensor weight = store.weight({i}), grad = store.grad({i});
    EXPECT_EQ(weight.shape(), store.list()[{i}].shape);
    std::fill_n(weight.data<float>(), weight.elements(), static_cast<float>(i + 1));
    std::fill_n(grad.data<float>(), grad.elements(), static_cast<float>(-i - 1));
  }
  for (int i = 0; i < store.list().size(); ++i) {
    for (double value : to_host(store.weight({i}), {})) EXPECT_EQ(value, i + 1);
    for (double value : to_host(store.grad({i}), {})) EXPECT_EQ(value, -i - 1);
  }
}

TEST(ParameterStore, MemoryIsWhatItTakes) {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const ParameterMemory memory = ParameterStore::memory(some_parameters(), dtype, {.index = 1, .count = 3});
    ParameterStore store(some_parameters(), dtype, {}, {.index = 1, .count = 3});
    size_t weights = 0, gradients = 0, moments = 0, master = 0;
    for (const auto& group : store.groups()) {
      weights += group.weights.bytes();
      gradients += group.gradients.bytes();
      moments += group.moment_1.bytes() + group.moment_2.bytes();
      if (dtype == DType::bf16) master += group.master.bytes();
    }
    EXPECT_EQ(memory.weights, weights);
    EXPECT_EQ(memory.gradients, gradients);
    EXPECT_EQ(memory.moments, moments);
    EXPECT_EQ(memory.master, master);
  }
}

TEST(ParameterStore, StartingValuesDependOnSeedAndNameAlone) {
  const ParameterList some = some_parameters();
  ParameterList more;
  more.add({.name = "something before", .shape = {100}});
  for (const ParameterSpec& spec : some.specs()) more.add(spec);
  ParameterStore one(some_parameters(), DType::f32, {}), other(more, DType::f32, {}, {.index = 0, .count = 2});
  one.initialize(5, {});
  other.initialize(5, {});
  for (int i = 0; i < one.list().size(); ++i)
    EXPECT_EQ(to_host(one.weight({i}), {}), to_host(other.weight({i + 1}), {}));
  const std::string hash = one.weights_hash({});
  one.initialize(6, {});
  EXPECT_NE(one.weights_hash({}), hash);
}

TEST(ParameterStore, StartingValuesHaveTheAskedSpread) {
  ParameterList list;
  list.add({.name = "w", .shape = {200, 500}, .init = {.standard_deviation = 0.02}});
  ParameterStore store(list, DType::f64, {});
  store.initialize(1, {});
  const std::vector<double> values = to_host(store.weight({0}), {});
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double square = 0, fourth = 0;
  for (double v : values) {
    square += v * v / n;
    fourth += v * v * v * v / n;
  }
  EXPECT_NEAR(mean, 0, 4 * 0.02 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(square), 0.02, 0.02 * 0.01);
  EXPECT_NEAR(fourth / (square * square), 3, 0.1);  // kurtosis of a normal
}

// Values are drawn four million at a time; nothing shows where one lot ends.
TEST(ParameterStore, LargeParametersAreDrawnWhole) {
  constexpr int64_t kLot = int64_t{1} << 22, kMore = 5;
  ParameterList list;
  list.add({.name = "w", .shape = {kLot + kMore}, .init = {.standard_deviation = 0.25, .constant = 1}});
  ParameterStore store(list, DType::bf16, {});
  store.initialize(1, {});
  const std::vector<double> values = to_host(store.weight({0}), {});
  const std::vector<double> masters = to_host(store.groups().front().master, {});
  int alike = 0;
  for (int64_t i = 0; i < kMore; ++i)
    alike += values[static_cast<size_t>(i)] == values[static_cast<size_t>(kLot + i)] ? 1 : 0;
  EXPECT_LE(alike, 1);
  EXPECT_NE(values.back(), 0);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), masters.begin()));
}

TEST(ParameterStore, CountsGradientContributions) {
  ParameterStore store(some_parameters(), DType::f32, {});
  const auto step = [&](int tied_uses) {
    for (int micro = 0; micro < 2; ++micro) {
      for (int i = 0; i < 3; ++i) store.grad_ready({i});
      for (int use = 0; use < tied_uses; ++use) store.grad_ready({3});
    }
  };
  step(2);
  EXPECT_NO_THROW(store.check_all_ready(2));
  step(1);  // one of the tied uses is lost
  EXPECT_THROW(store.check_all_ready(2), Error);
}

// Every shard updated on its own, with the whole norm, gives the weights that one rank gets. Here each shard sees only
// its part of the gradient, so clipping is off; the joined norm is what ranks would all-reduce.
TEST(Optimizer, ShardsTogetherEqualOneRank) {
  const OptimizerSettings settings{
      .beta_1 = 0.9, .beta_2 = 0.95, .epsilon = 1e-5, .weight_decay = 0.1, .clip_norm = 1e9};
  const auto run = [&](OptimizerShard shard, double& squared) {
    auto store = std::make_unique<ParameterStore>(some_parameters(), DType::f64, Device{}, shard);
    store->initialize(3, {});
    Optimizer optimizer(*store, settings, {});
    for (int step = 0; step < 3; ++step) {
      for (int i = 0; i < store->list().size(); ++i) {
        std::vector<double> gradient(static_cast<size_t>(store->grad({i}).elements()));
        for (size_t k = 0; k < gradient.size(); ++k) gradient[k] = std::sin(static_cast<double>(k) + i + step);
        from_host(store->grad({i}), gradient, {});
      }
      optimizer.set_scalars(step_scalars(settings, 0.01, step), {});
      optimizer.update({});
    }
    squared += std::pow(to_host(optimizer.gradient_norm(), {})[0], 2);
    return store;
  };
  double whole_squared = 0, shard_squared = 0;
  const auto whole = run({}, whole_squared);
  for (int index = 0; index < 3; ++index) {
    const auto part = run({.index = index, .count = 3}, shard_squared);
    for (size_t g = 0; g < part->groups().size(); ++g) {
      const auto& group = part->groups()[g];
      const auto own = to_host(group.weights.rows(group.shard_begin, group.shard_end), {});
      const auto all = to_host(whole->groups()[g].weights, {});
      for (size_t k = 0; k < own.size(); ++k) {
        const size_t at = static_cast<size_t>(group.shard_begin) + k;
        const double expected = at < all.size() ? all[at] : 0;  // beyond: padding, which is longer with more shards
        EXPECT_EQ(own[k], expected);
      }
    }
  }
  EXPECT_NEAR(shard_squared, whole_squared, 1e-9 * whole_squared);
}

}  // namespace
}  // namespace timetrial
