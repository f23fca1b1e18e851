// cuDNN's graphs of fused attention. The only file that sees the cuDNN frontend.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/fused_attention.h"

#include <cudnn_frontend.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "device/cuda/check.h"

namespace timetrial::ops::cuda {

namespace {

namespace fe = cudnn_frontend;
using fe::graph::Tensor_attributes;
using timetrial::cuda::DeviceScope;

// Names of a graph's tensors.
enum Id : int64_t { kQueries = 1, kKeys, kValues, kOut, kStats, kSinks, kDOut, kDQueries, kDKeys, kDValues };

std::optional<std::string> problem_of(fe::error_t error, const char* call) {
  if (error.is_good()) return std::nullopt;
  std::string message = error.get_message();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return fmt::format("{}: {}", call, message);
}

void check_cudnn(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = "";
  cudnnGetLastErrorString(detail, sizeof detail);
  throw Error(fmt::format("{} in {}: {}", cudnnGetErrorString(status), call, detail));
}

// cuDNN counts (batch, heads, length, channels); a token's heads lie side by side in a row of `width` channels.
struct HeadRows {
  const char* name;
  Id id;
  int64_t heads, channels, width;

  Tensor_attributes& apply(Tensor_attributes& tensor, const AttentionShape& s) const {
    return tensor.set_name(name)
        .set_uid(id)
        .set_dim({s.batch, heads, s.length, channels})
        .set_stride({s.length * width, channels, width, 1});
  }
};

struct Rows {
  explicit Rows(const AttentionShape& s)
      : queries{"queries", kQueries, s.heads, s.head_dim, s.qkv_width()},
        keys{"keys", kKeys, s.kv_heads, s.head_dim, s.qkv_width()},
        values{"values", kValues, s.kv_heads, s.value_dim(), s.qkv_width()},
        out{"out", kOut, s.heads, s.value_dim(), s.out_width()},
        d_out{"d_out", kDOut, s.heads, s.value_dim(), s.out_width()},
        d_queries{"d_queries", kDQueries, s.heads, s.head_dim, s.qkv_width()},
        d_keys{"d_keys", kDKeys, s.kv_heads, s.head_dim, s.qkv_width()},
        d_values{"d_values", kDValues, s.kv_heads, s.value_dim(), s.qkv_width()} {}
  HeadRows queries, keys, values, out, d_out, d_queries, d_keys, d_values;
};

Tensor_attributes& set_stats(Tensor_attributes& tensor, const AttentionShape& s) {
  return tensor.set_name("stats")
      .set_uid(kStats)
      .set_data_type(fe::DataType_t::FLOAT)
      .set_dim({s.batch, s.heads, s.length, 1})
      .set_stride({s.heads * s.length, s.length, 1, 1});
}

// Scale, causal mask and window, which both directions take in the same words.
template <class Attributes>
Attributes masked(const AttentionShape& s, const char* name) {
  Attributes attributes;
  attributes.set_name(name)
      .set_attn_scale(static_cast<float>(s.scale))
      .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
  if (const auto bound = cudnn_left_bound(s)) attributes.set_diagonal_band_left_bound(*bound);
  return attributes;
}

}  // namespace

struct FusedGraph::Parts {
  Parts(const AttentionShape& s, const Options& options) : shape(s) {
    graph.set_sm_version(options.compute_capability);  // before there are nodes, which keep it
    graph.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    switch (options.direction) {
      case AttentionDirection::forward:
        make_forward();
        return;
      case AttentionDirection::backward:
        make_backward(options.deterministic);
        return;
    }
  }

  std::shared_ptr<Tensor_attributes> input(const HeadRows& rows) {
    Tensor_attributes tensor;
    return graph.tensor(rows.apply(tensor, shape));
  }
  void output(const HeadRows& rows, const std::shared_ptr<Tensor_attributes>& tensor) {
    rows.apply(tensor->set_output(true), shape);
  }

  void make_forward() {
    const Rows rows(shape);
    auto attributes = masked<fe::graph::SDPA_attributes>(shape, "attention_forward");
    attributes.set_generate_stats(true);
    if (shape.sinks)
      attributes.set_sink_token(graph.tensor(Tensor_attributes()
                                                 .set_name("sinks")
                                                 .set_uid(kSinks)
                                                 .set_data_type(fe::DataType_t::FLOAT)
                                                 .set_dim({1, shape.heads, 1, 1})
                                                 .set_stride({shape.heads, 1, 1, 1})));
    const auto queries = input(rows.queries), keys = input(rows.keys), values = input(rows.values);
    const auto [out, stats] = graph.sdpa(queries, keys, values, attributes);
    output(rows.out, out);
    set_stats(stats->set_output(true), shape);
  }

  void make_backward(bool deterministic) {
    const Rows rows(shape);
    auto attributes = masked<fe::graph::SDPA_backward_attributes>(shape, "attention_backward");
    attributes.set_deterministic_algorithm(deterministic);
    const auto queries = input(rows.queries), keys = input(rows.keys), values = input(rows.values),
               out = input(rows.out), d_out = input(rows.d_out);
    Tensor_attributes stats;
    const auto [d_queries, d_keys, d_values] =
        graph.sdpa_backward(queries, keys, values, out, d_out, graph.tensor(set_stats(stats, shape)), attributes);
    output(rows.d_queries, d_queries);
    output(rows.d_keys, d_keys);
    output(rows.d_values, d_values);
  }

  // Everything before kernels are loaded.
  std::optional<std::string> choose_kernels() {
    if (auto problem = problem_of(graph.create_execution_plans({fe::HeurMode_t::A}), "create_execution_plans"))
      return problem;
    return problem_of(graph.check_support(), "check_support");
  }

  AttentionShape shape;
  fe::graph::Graph graph;
  std::unordered_map<int64_t, void*> addresses;  // kept, so that a call makes no new one
  int64_t workspace_bytes = 0;
};

FusedGraph::FusedGraph(const AttentionShape& shape, const Options& options)
    : parts_(std::make_unique<Parts>(shape, options)) {}
FusedGraph::~FusedGraph() = default;
FusedGraph::FusedGraph(FusedGraph&&) noexcept = default;
FusedGraph& FusedGraph::operator=(FusedGraph&&) noexcept = default;

std::optional<std::string> FusedGraph::build(cudnnContext* handle) {
  fe::graph::Graph& graph = parts_->graph;
  if (auto problem = problem_of(graph.validate(), "validate")) return problem;
  if (auto problem = problem_of(graph.build_operation_graph(handle), "build_operation_graph")) return problem;
  if (auto problem = parts_->choose_kernels()) return problem;
  if (auto problem = problem_of(graph.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE), "build_plans"))
    return problem;
  return problem_of(graph.get_workspace_size(parts_->workspace_bytes), "get_workspace_size");
}

std::optional<std::string> FusedGraph::check(const std::string& described) {
  fe::graph::Graph& graph = parts_->graph;
  const auto properties = std::make_shared<fe::DeviceProperties>();
  const std::vector<uint8_t> bytes(described.begin(), described.end());
  if (auto problem = problem_of(properties->deserialize(bytes), "DeviceProperties")) return problem;
  graph.set_device_properties(properties);
  if (auto problem = problem_of(graph.validate(), "validate")) return problem;
  if (auto problem = problem_of(graph.build_operation_graph(), "build_operation_graph")) return problem;
  return parts_->choose_kernels();
}

size_t FusedGraph::workspace_bytes() const { return static_cast<size_t>(parts_->workspace_bytes); }

void FusedGraph::run(cudnnContext* handle, const FusedAddresses& a) {
  const AttentionShape& s = parts_->shape;
  auto& at = parts_->addresses;
  const auto set_heads = [&](void* rows, Id queries, Id keys, Id values) {
    auto* first = static_cast<bfloat16*>(rows);
    at[queries] = first;
    at[keys] = first + s.heads * s.head_dim;
    at[values] = first + (s.heads + s.kv_heads) * s.head_dim;
  };
  set_heads(a.qkv, kQueries, kKeys, kValues);
  at[kOut] = a.out;
  at[kStats] = a.stats;
  if (a.sinks) at[kSinks] = a.sinks;
  if (a.d_qkv) {
    set_heads(a.d_qkv, kDQueries, kDKeys, kDValues);
    at[kDOut] = a.d_out;
  }
  if (const auto problem = problem_of(parts_->graph.execute(handle, at, a.workspace), "execute"))
    throw Error(fmt::format("cuDNN attention of {}: {}", text_of(s), *problem));
}

void FusedAttention::DestroyHandle::operator()(cudnnContext* handle) const { static_cast<void>(cudnnDestroy(handle)); }

cudnnContext* FusedAttention::handle_of(int device) {
  const auto make_handle = [&] {
    const DeviceScope scope(device);
    cudnnHandle_t raw = nullptr;
    check_cudnn(cudnnCreate(&raw), "cudnnCreate");
    return Handle(raw);
  };
  return handles_.get(device, make_handle).get();
}

cudnnContext* FusedAttention::handle(StreamRef stream) {
  cudnnContext* handle = handle_of(stream.device.index);
  check_cudnn(cudnnSetStream(handle, static_cast<cudaStream_t>(stream.handle)), "cudnnSetStream");
  return handle;
}

AttentionPlan FusedAttention::make(const AttentionShape& shape, const Where& where, const AttentionSettings& settings) {
  const DeviceScope scope(where.device.index);
  int major = 0, minor = 0;
  TIMETRIAL_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, where.device.index));
  TIMETRIAL_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, where.device.index));
  const int capability = 10 * major + minor;
  AttentionPlan plan{
      .choice = attention_backend(
          shape, settings, {.dtype = where.dtype, .compute_capability = capability, .cudnn_version = cudnn_version()}),
      .forward = {},
      .backward = {}};
  if (!plan.choice.fused) return plan;
  FusedGraph forward(shape, {AttentionDirection::forward, settings.deterministic, capability}),
      backward(shape, {AttentionDirection::backward, settings.deterministic, capability});
  for (FusedGraph* graph : {&forward, &backward})
    if (const auto problem = graph->build(handle_of(where.device.index))) {
      plan.choice = own_attention(settings, fmt::format("cuDNN refuses it, {}", *problem));
      return plan;
    }
  plan.workspace_bytes = std::max(forward.workspace_bytes(), backward.workspace_bytes());
  plan.forward = std::move(forward);
  plan.backward = std::move(backward);
  return plan;
}

AttentionPlan& FusedAttention::plan(const AttentionShape& shape, const Where& where, Libraries& libraries) {
  return plans_.get({shape, where.dtype, where.device.index}, [&] {
    AttentionPlan made = make(shape, where, libraries.attention());
    libraries.note(fmt::format("attention of {} {}: {}", text_of(shape), name_of(where.dtype),
                               made.choice.fused
                                   ? fmt::format("cuDNN {}{}", cudnn_version_text(cudnn_version()),
                                                 libraries.attention().deterministic ? ", deterministic" : "")
                                   : fmt::format("own kernels ({})", made.choice.reason)));
    return made;
  });
}

size_t cudnn_version() { return cudnnGetVersion(); }

}  // namespace timetrial::ops::cuda
