// Parameters: what a model declares (ParameterSpec), and the flat storage that holds weights, gradients and optimizer
// state. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "timetrial/config/parallel_plan.h"
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
};

// The parameters of one model piece in the order of its forward pass.
class ParameterList {
 public:
  ParamId add(ParameterSpec spec);  // Throws Error when the name is taken.
  const ParameterSpec& operator[](ParamId id) const;
  int size() const { return static_cast<int>(specs_.size()); }
  const std::vector<ParameterSpec>& specs() const { return specs_; }
  int64_t elements() const;

 private:
  std::vector<ParameterSpec> specs_;
};

// This rank's part of the optimizer: state is cut into `count` equal pieces over the data axis. One rank holds one
// piece of one.
struct OptimizerShard {
  int index = 0, count = 1;
};

struct ParameterMemory {
  size_t weights = 0, master = 0, gradients = 0, moments = 0;  // bytes on this rank
};

// Flat storage per reduce group, parameters in reverse order of execution so that finished gradients come first, padded
// so that every shard has the same length. Not thread-safe; work is ordered on the streams passed in.
class ParameterStore {
 public:
  ParameterStore(const ParameterList& list, DType dtype, Device device, OptimizerShard shard = {});

  // What the constructor would take, without taking it.
  static ParameterMemory memory(const ParameterList& list, DType dtype, OptimizerShard shard = {});

  Tensor weight(ParamId id) const;  // the model's copy, of `dtype`
  Tensor grad(ParamId id) const;    // fp32 (f64 for f64 weights), accumulated by backward_weights
  const ParameterList& list() const { return list_; }

  // Called by backward_weights once per use and micro batch. `check_all_ready` throws Error naming the first parameter
  // whose gradient came too rarely or too often; it starts the next step's count.
  void grad_ready(ParamId id);
  void check_all_ready(int micro_batches);

  // Draws every parameter from its own random stream, keyed by seed and name: the values do not depend on layout or
  // ranks.
  void initialize(uint64_t seed, StreamRef stream);
  void zero_gradients(StreamRef stream);
  void zero_moments(StreamRef stream);
  std::string weights_hash(StreamRef stream) const;  // 32 hexadecimal digits over all weights, for equality tests

  // One flat buffer per reduce group; segments are relative to this rank's shard.
  struct Group {
    ReduceGroup reduce;
    Tensor weights, gradients;               // whole group
    Tensor master, moment_1, moment_2;       // this rank's shard; master is the weights' own memory when types agree
    int64_t shard_begin = 0, shard_end = 0;  // elements
    std::vector<ops::ParameterSegment> segments;
  };
  const std::vector<Group>& groups() const { return groups_; }

 private:
  struct Place {
    int group;
    int64_t begin;
  };
  ParameterList list_;
  DType dtype_;
  Device device_;
  std::vector<Group> groups_;
  std::vector<Place> places_;
  std::vector<int> ready_;
  std::vector<Buffer> buffers_;
};

}  // namespace timetrial
