// Parameters: what a model declares (ParameterSpec), and the flat storage that holds weights, gradients and optimizer
// state. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "timetrial/ops/adamw.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial {

struct ParamId {
  int32_t index = -1;
};

// Which ranks hold the same parameter and sum its gradient: dense ones data x context, experts the data axis of the
// expert view.
enum class ReduceGroup { dense, expert };

// Starting values: normal with this standard deviation, or the constant when it is 0.
struct Initializer {
  double standard_deviation = 0;
  double constant = 0;
};

struct ParameterSpec {
  std::string name;  // "layers.3.attention.qkv.weight"; unique
  Shape shape;       // of the whole parameter; one rank holds all of it
  ReduceGroup reduce = ReduceGroup::dense;
  bool decay = true;       // weight decay applies (spec 8.1: not to norms, biases, sinks)
  int uses = 1;            // modules that add to the gradient in one backward; > 1 for tied parameters
  double norm_weight = 1;  // 1/replicas, so that the global norm counts every parameter once
  Initializer init = {};
  bool trainable = true;  // false: a buffer beside the parameters, fp32 (f64 in double), without gradient
};

// A router's selection bias (spec 3.5): a buffer that moves by `rate` per step against the load of its experts.
struct ExpertBias {
  ParamId id;
  double rate;
};

// The parameters of one model piece in the order of its forward pass.
class ParameterList {
 public:
  ParamId add(ParameterSpec spec);  // Throws Error when the name is taken.
  ParamId add_expert_bias(const std::string& name, int64_t experts, double rate);  // starts at 0
  const ParameterSpec& operator[](ParamId id) const;
  int size() const { return static_cast<int>(specs_.size()); }
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  const std::vector<ExpertBias>& expert_biases() const { return expert_biases_; }
  int64_t elements() const;  // of what is trained; buffers are no parameters

 private:
  std::vector<ParameterSpec> specs_;
  std::vector<ExpertBias> expert_biases_;
};

// This rank's part of the optimizer: of every bucket it holds the state of one of `count` equal pieces. One rank holds
// one piece of one, and one bucket per reduce group. A bucket ends with the parameter that brings it to
// bucket_elements.
struct OptimizerShard {
  int index = 0, count = 1;
  int64_t bucket_elements = int64_t{1} << 62;
};

struct ParameterMemory {
  // Bytes on this rank; buffers: expert biases and their counts.
  size_t weights = 0, master = 0, gradients = 0, moments = 0, buffers = 0;
};

// Flat storage in buckets of one reduce group each, parameters in reverse order of execution so that finished gradients
// come first, padded so that every shard has the same length. Not thread-safe; work is ordered on the streams passed
// in.
class ParameterStore {
 public:
  ParameterStore(const ParameterList& list, DType dtype, Device device, OptimizerShard shard = {});

  // What the constructor would take, without taking it.
  static ParameterMemory memory(const ParameterList& list, DType dtype, OptimizerShard shard = {});

  Tensor weight(ParamId id) const;  // the model's copy, of `dtype`; of a buffer the buffer itself
  Tensor grad(ParamId id) const;    // fp32 (f64 for f64 weights), accumulated by backward_weights
  const ParameterList& list() const { return list_; }

  // Called by backward_weights once per use and micro batch. `check_all_ready` throws Error naming the first parameter
  // whose gradient came too rarely or too often; it starts the next step's count.
  void grad_ready(ParamId id);
  void check_all_ready(int micro_batches);

  // Who wants to know that a bucket's gradients are complete (told once per step, by the last grad_ready), and that its
  // weights are about to be read.
  struct Watcher {
    std::function<void(size_t bucket)> filled, needed;
    std::function<void()> read = {};  // the host is about to wait for what is queued
  };
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  // `filled` is told once a bucket has had the contributions of this many micro batches; 0: no more.
  void expect(int micro_batches);

  // Draws every parameter from its own random stream, keyed by seed and name: the values do not depend on layout or
  // ranks.
  void initialize(uint64_t seed, StreamRef stream);
  // To be called after weights were written from outside (a checkpoint): masters follow them, moments start again at 0.
  void weights_written(StreamRef stream);
  // Starts a step: gradients and token counts of experts.
  void zero_gradients(StreamRef stream);
  void zero_moments(StreamRef stream);
  // Makes gradients, or moments, hold what bf16 storage would: after each micro batch, after the update (spec 8.4).
  void round_gradients_to_bfloat16(StreamRef stream);
  void round_moments_to_bfloat16(StreamRef stream);

  Tensor all_expert_counts() const { return counts_.view(); }  // of every router, int32, may be empty
  // (E) int32: tokens that training passes of this step sent to each expert of the router with this bias.
  Tensor expert_counts(ParamId bias) const;
  // Moves every expert bias by its rate against the step's counts; once per step, before the optimizer (spec 3.5).
  void update_expert_biases(StreamRef stream);
  // All buffers, to put them back after a warm-up that must leave no trace.
  std::vector<double> buffers(StreamRef stream) const;
  void set_buffers(const std::vector<double>& values, StreamRef stream);
  // 32 hexadecimal digits over all weights and buffers, for equality tests.
  std::string weights_hash(StreamRef stream) const;

  // One bucket; segments are relative to this rank's shard.
  struct Group {
    ReduceGroup reduce;
    int first_parameter;                     // of those in it the one that forward uses first
    Tensor weights, gradients;               // whole bucket
    Tensor master, moment_1, moment_2;       // this rank's shard; master is the weights' own memory when types agree
    int64_t shard_begin = 0, shard_end = 0;  // elements
    std::vector<ops::ParameterSegment> segments;
  };
  const std::vector<Group>& groups() const { return groups_; }

 private:
  struct Place {
    int group;  // -1: among the buffers
    int64_t begin;
  };
  ParameterList list_;
  DType dtype_;
  Device device_;
  std::vector<Group> groups_;
  std::vector<Place> places_;
  std::vector<int> ready_;
  Watcher watcher_;
  int expected_ = 0;             // micro batches; 0: nobody is told
  std::vector<int> incomplete_;  // per bucket: parameters whose gradient is not complete
  OwnedTensor state_;            // all buffers
  OwnedTensor counts_;           // int32, as long as state_
  std::vector<Buffer> memory_;
};

}  // namespace timetrial
