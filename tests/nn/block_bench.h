// One block with memory of its own, as the executor would give it: planned, run forward and back, gradients read out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "fixtures/gradients.h"
#include "timetrial/parallel/pass.h"

namespace timetrial::testing {

using fixtures::Values;

inline Values normal_values(int64_t count, uint32_t seed, double spread = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  Values values(static_cast<size_t>(count));
  for (double& value : values) value = normal(random);
  return values;
}

// Runs a block from (N, C) rows to (N, C) rows in one element type. Weights are drawn, then moved off their starts.
template <class Block>
class BlockBench {
 public:
  struct Size {
    int64_t tokens, width;
  };

  // make(context) returns the block.
  template <class Make>
  BlockBench(Make&& make, Size size, DType dtype = DType::f64)
      : context_{.parameters = {}, .dtype = dtype, .device = {}},
        size_(size),
        block_(make(context_)),
        store_(context_.parameters, dtype, {}),
        train_(planned(Mode::train)),
        stash_(train_.kept(), {}, train_.kept_bytes()),
        deferred_(train_.deferred(), {}, train_.deferred_bytes()),
        scratch_("scratch", {}, std::max(train_.scratch_bytes(), planned(Mode::evaluate).scratch_bytes())) {
    store_.initialize(5, {});
    for (int i = 0; i < context_.parameters.size(); ++i) {
      const Tensor weight = store_.weight({i});
      Values values = to_host(weight, {});
      const Values noise = normal_values(weight.elements(), 100 + static_cast<uint32_t>(i), 0.05);
      for (size_t k = 0; k < values.size(); ++k) values[k] += noise[k];
      from_host(weight, values, {});
    }
  }

  const Block& block() const { return block_; }
  ParameterStore& store() { return store_; }
  const ParameterList& parameters() const { return context_.parameters; }
  const Plan& train_plan() const { return train_; }
  size_t scratch_high_water() const { return scratch_.high_water(); }

  Values weight(int i) { return to_host(store_.weight({i}), {}); }
  void set_weight(int i, const Values& values) { from_host(store_.weight({i}), values, {}); }
  Values gradient(int i) { return to_host(store_.grad({i}), {}); }
  int index_of(const std::string& name) const {
    for (int i = 0; i < context_.parameters.size(); ++i)
      if (context_.parameters.specs()[static_cast<size_t>(i)].name == name) return i;
    ADD_FAILURE() << "no parameter " << name;
    return 0;
  }

  Values forward(const Values& in, Mode mode = Mode::evaluate) {
    const OwnedTensor x(context_.dtype, {size_.tokens, size_.width}, {}), y(context_.dtype, x.view().shape(), {});
    from_host(x.view(), in, {});
    Pass p = pass(mode);
    Arena::Scope scope(scratch_);
    block_.forward(y.view(), x.view(), p);
    Values out = to_host(y.view(), {});
    stash_.release();
    return out;
  }

  // Gradient of dot(cotangent, out) by the input; the parameters' gradients are left in the store.
  Values backward(const Values& in, const Values& cotangent) {
    const Shape shape{size_.tokens, size_.width};
    const OwnedTensor x(context_.dtype, shape, {}), y(context_.dtype, shape, {});
    const OwnedTensor d_x(context_.dtype, shape, {}), d_y(context_.dtype, shape, {});
    from_host(x.view(), in, {});
    from_host(d_y.view(), cotangent, {});
    store_.zero_gradients({});
    Pass p = pass(Mode::train);
    {
      Arena::Scope scope(scratch_);
      block_.forward(y.view(), x.view(), p);
    }
    {
      Arena::Scope scope(scratch_);
      block_.backward_input(d_x.view(), d_y.view(), p);
      block_.backward_weights(p);
    }
    store_.check_all_ready(1);
    stash_.release();
    deferred_.release();
    return to_host(d_x.view(), {});
  }

  // Every element of the input and of every parameter against central differences of dot(cotangent, out).
  void expect_gradients(const Values& in, const Values& cotangent, double tolerance = 1e-6) {
    std::vector<fixtures::GradientOf> inputs{{"in", in, backward(in, cotangent)}};
    for (int i = 0; i < context_.parameters.size(); ++i)
      inputs.push_back({context_.parameters.specs()[static_cast<size_t>(i)].name, weight(i), gradient(i)});
    fixtures::expect_gradients(
        [&](const std::vector<Values>& at) {
          for (int i = 0; i < context_.parameters.size(); ++i) set_weight(i, at[static_cast<size_t>(i) + 1]);
          return fixtures::dot(cotangent, forward(at[0]));
        },
        inputs, tolerance);
    for (int i = 0; i < context_.parameters.size(); ++i) set_weight(i, inputs[static_cast<size_t>(i) + 1].at);
  }

 private:
  Plan planned(Mode mode) const {
    Plan plan(mode);
    {
      Plan::Scope scope(plan);
      block_.plan_forward(plan, size_.tokens);
    }
    if (mode == Mode::train) block_.plan_backward(plan, size_.tokens);
    return plan;
  }
  Pass pass(Mode mode) {
    return {
        .stream = {}, .mode = mode, .parameters = store_, .stash = stash_, .deferred = deferred_, .scratch = scratch_};
  }

  ModuleContext context_;
  Size size_;
  Block block_;
  ParameterStore store_;
  Plan train_;
  Stash stash_, deferred_;
  Arena scratch_;
};

}  // namespace timetrial::testing
