// FusedAttention: cuDNN's fused attention, forward and backward, as graphs built once per shape. No cuDNN header is
// seen from here. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "ops/attention_choice.h"
#include "ops/plan_cache.h"

struct cudnnContext;  // what cudnnHandle_t points to

namespace timetrial::ops::cuda {

enum class AttentionDirection { forward, backward };

// Addresses in device memory; those of the other direction may be null.
struct FusedAddresses {
  void* qkv;
  void* out;
  float* stats;            // log-sum-exp, (batch, heads, length)
  float* sinks = nullptr;  // (heads), forward with sinks alone
  void* d_out = nullptr;
  void* d_qkv = nullptr;
  void* workspace;
};

// One direction of one shape. Rows, heads and strides are those of AttentionForward; every tensor but stats and sinks
// is bf16. The sinks' gradient is not part of it: cuDNN sums it in no fixed order.
class FusedGraph {
 public:
  struct Options {
    AttentionDirection direction;
    bool deterministic;
    int compute_capability;  // 90 is 9.0
  };
  FusedGraph(const AttentionShape& shape, const Options& options);
  ~FusedGraph();
  FusedGraph(FusedGraph&&) noexcept;
  FusedGraph& operator=(FusedGraph&&) noexcept;

  // Finds kernels for the handle's GPU and loads them. Returns cuDNN's reason when it has none.
  std::optional<std::string> build(cudnnContext* handle);
  // As far as that goes without a GPU: the graph is sound and cuDNN names kernels for it on a GPU described by
  // `properties`, cuDNN's JSON form of a device's.
  std::optional<std::string> check(const std::string& properties);

  size_t workspace_bytes() const;  // after build
  // Queues the work on the handle's stream; no allocation on the device, no wait.
  void run(cudnnContext* handle, const FusedAddresses& a);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// What one shape got, and who computes it.
struct AttentionPlan {
  AttentionChoice choice;
  std::optional<FusedGraph> forward, backward;  // both or neither
  size_t workspace_bytes = 0;                   // the larger of the two
};

// State of Libraries: cuDNN's handles and every shape met so far.
class FusedAttention {
 public:
  struct Where {
    DType dtype;
    Device device;
  };
  // Builds at the first call of a shape, which takes seconds, and notes the choice in `libraries`.
  AttentionPlan& plan(const AttentionShape& shape, const Where& where, Libraries& libraries);
  // The device's handle, its stream set.
  cudnnContext* handle(StreamRef stream);

 private:
  struct DestroyHandle {
    void operator()(cudnnContext* handle) const;
  };
  using Handle = std::unique_ptr<cudnnContext, DestroyHandle>;
  cudnnContext* handle_of(int device);
  AttentionPlan make(const AttentionShape& shape, const Where& where, const AttentionSettings& settings);

  PlanCache<int, Handle> handles_;  // before the plans, which must go first
  PlanCache<std::tuple<AttentionShape, DType, int>, AttentionPlan> plans_;
};

// As cudnnGetVersion: 91900 is 9.19.0.
size_t cudnn_version();

}  // namespace timetrial::ops::cuda
