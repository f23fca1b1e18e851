// Times single ops of the GPT-OSS layer on one device beside what the device reaches on a large product and a large
// copy. SPDX-License-Identifier: Apache-2.0
//
// op_times '{"device": "cuda", "dtype": "bf16", "tokens": 16384, "length": 2048, "model": {...}}' prints one JSON
// object; benchmarks/gpu/train_vs_pytorch.py runs it. The model object is the `model` of a variant in a workload's
// benchmark.json.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/device/sensors.h"
#include "timetrial/ops/attention.h"
#include "timetrial/ops/gated_activation.h"
#include "timetrial/ops/grouped_matmul.h"
#include "timetrial/ops/matmul.h"
#include "timetrial/ops/rms_norm.h"

namespace {

using namespace timetrial;  // NOLINT: one program
using Json = nlohmann::json;

struct LayerShape {
  int64_t tokens, length, hidden, heads, kv_heads, head_dim, experts, choices, ffn, window;
  int64_t rows() const { return tokens * choices; }
};

class Bench {
 public:
  Bench(Device device, DType dtype, int calls)
      : stream_(device),
        dtype_(dtype),
        calls_(calls),
        workspace_(device, std::max<size_t>(ops::matmul_workspace_bytes(device), kArenaAlignment)) {}

  StreamRef stream() const { return stream_.ref(); }
  DType dtype() const { return dtype_; }
  // What a model piece gives its ops: handles and plans that stay, and the products' workspace.
  ops::Libraries* libraries() { return &libraries_; }
  Tensor workspace() const {
    return {
        workspace_.data(), DType::i32, {static_cast<int64_t>(workspace_.bytes() / sizeof(int32_t))}, stream().device};
  }
  // c = a b^T as a linear layer asks for it.
  void product(const Tensor& c, const Tensor& a, const Tensor& b) {
    ops::matmul({.c = c, .a = a, .b = b, .transpose_b = true, .workspace = workspace(), .libraries = &libraries_},
                stream());
  }

  // Uniform in (-1, 1), the same values again after a while: enough to keep the multipliers busy.
  Tensor random(Shape shape) {
    std::mt19937 engine(1);
    std::vector<double> some(size_t{1} << 16);
    for (double& v : some) v = static_cast<double>(engine()) * 0x1p-31 - 1;
    std::vector<double> values(static_cast<size_t>(shape.elements()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = some[(i * 31) % some.size()];
    const Tensor tensor = empty(shape, dtype_);
    from_host(tensor, values, stream());
    return tensor;
  }
  // Lives as long as the bench.
  Tensor empty(Shape shape, DType dtype) { return tensors_.emplace_back(dtype, shape, stream().device).view(); }

  // Median over rounds of the mean over back-to-back calls, which the host queues and waits for once.
  void time(const std::string& name, double flops, double bytes, const std::function<void()>& call) {
    constexpr int kRounds = 7;
    call();
    stream_.synchronize();
    std::vector<double> seconds;
    for (int round = 0; round < kRounds; ++round) {
      const double started = monotonic_seconds();
      for (int i = 0; i < calls_; ++i) call();
      stream_.synchronize();
      seconds.push_back((monotonic_seconds() - started) / calls_);
    }
    std::sort(seconds.begin(), seconds.end());
    results_.push_back(
        {{"name", name}, {"seconds", seconds[kRounds / 2]}, {"rounds", seconds}, {"flops", flops}, {"bytes", bytes}});
  }
  Json results() const { return results_; }
  const std::vector<std::string>& choices() const { return libraries_.choices(); }

 private:
  Stream stream_;
  DType dtype_;
  int calls_;
  Buffer workspace_;
  ops::Libraries libraries_;
  Json results_ = Json::array();
  std::deque<OwnedTensor> tensors_;
};

double product_flops(int64_t m, int64_t n, int64_t k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}
double bytes_of(std::initializer_list<Tensor> tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors) bytes += static_cast<double>(tensor.bytes());
  return bytes;
}

void time_ceilings(Bench& bench, int64_t side, size_t copy_bytes_each) {
  const Tensor a = bench.random({side, side}), b = bench.random({side, side}),
               c = bench.empty({side, side}, bench.dtype());
  bench.time("ceiling: square product", product_flops(side, side, side), bytes_of({a, b, c}),
             [&] { bench.product(c, a, b); });
  const Device device = bench.stream().device;
  const Buffer from(device, copy_bytes_each), to(device, copy_bytes_each);
  bench.time("ceiling: copy", 0, 2.0 * static_cast<double>(copy_bytes_each),
             [&] { copy_bytes(to.data(), device, from.data(), device, copy_bytes_each, bench.stream()); });
}

// The experts' products: equal groups, and groups as uneven as an untrained router makes them (every fourth twice as
// long).
void time_experts(Bench& bench, const LayerShape& s, bool uneven) {
  std::vector<int32_t> begin = {0};
  const int64_t share = s.rows() / s.experts;
  for (int64_t e = 0; e < s.experts; ++e) {
    const int64_t rows = !uneven ? share : e % 4 == 0 ? 2 * share : e % 4 == 1 ? 0 : share;
    begin.push_back(begin.back() + static_cast<int32_t>(rows));
  }
  begin.back() = static_cast<int32_t>(s.rows());
  const Tensor offsets = bench.empty({s.experts + 1}, DType::i32);
  from_host_i32(offsets, begin, bench.stream());
  const size_t workspace_bytes = ops::grouped_matmul_workspace_bytes(s.experts, bench.dtype(), bench.stream().device);
  const Tensor workspace = bench.empty({static_cast<int64_t>(workspace_bytes / 4 + 1)}, DType::f32);
  const Tensor x = bench.random({s.rows(), s.hidden}), weight = bench.random({s.experts, 2 * s.ffn, s.hidden}),
               bias = bench.random({s.experts, 2 * s.ffn}), hidden = bench.random({s.rows(), 2 * s.ffn}),
               d_x = bench.empty({s.rows(), s.hidden}, bench.dtype());
  const Tensor d_weight = bench.empty(weight.shape(), DType::f32);
  const double flops = product_flops(s.rows(), 2 * s.ffn, s.hidden);
  const std::string groups = uneven ? ", uneven groups" : ", equal groups";
  using ops::GroupedKernels;
  for (const GroupedKernels kernels : {GroupedKernels::best, GroupedKernels::plain}) {
    if (kernels == GroupedKernels::plain && uneven) continue;
    const std::string name = (kernels == GroupedKernels::plain ? "plain kernels, " : "") + std::string("experts fc1 ");
    bench.time(name + "forward" + groups, flops, bytes_of({x, weight, hidden}), [&] {
      ops::grouped_matmul({.c = hidden,
                           .a = x,
                           .b = weight,
                           .expert_begin = offsets,
                           .transpose_b = true,
                           .bias = bias,
                           .workspace = workspace,
                           .kernels = kernels},
                          bench.stream());
    });
    bench.time(name + "input gradient" + groups, flops, bytes_of({hidden, weight, d_x}), [&] {
      ops::grouped_matmul(
          {.c = d_x, .a = hidden, .b = weight, .expert_begin = offsets, .workspace = workspace, .kernels = kernels},
          bench.stream());
    });
    bench.time(name + "weight gradient" + groups, flops, bytes_of({hidden, x, d_weight, d_weight}), [&] {
      ops::grouped_matmul_backward_weight({d_weight, hidden, x, offsets, workspace, kernels}, bench.stream());
    });
  }
}

void time_attention(Bench& bench, const LayerShape& s, int64_t window) {
  const ops::AttentionShape shape = {.batch = s.tokens / s.length,
                                     .length = s.length,
                                     .heads = s.heads,
                                     .kv_heads = s.kv_heads,
                                     .head_dim = s.head_dim,
                                     .window_keys = window,
                                     .scale = 0.125,
                                     .sinks = true};
  const Tensor qkv = bench.random({s.tokens, shape.qkv_width()}), d_out = bench.random({s.tokens, shape.out_width()}),
               sinks = bench.random({s.heads});
  const Tensor out = bench.empty(d_out.shape(), bench.dtype()), d_qkv = bench.empty(qkv.shape(), bench.dtype());
  const Tensor lse = bench.empty({shape.batch, s.heads, s.length}, DType::f32),
               d_sinks = bench.empty({s.heads}, DType::f32);
  const size_t bytes = ops::attention_workspace_bytes(shape, bench.dtype(), bench.stream().device, bench.libraries());
  const Tensor workspace = bench.empty({static_cast<int64_t>(bytes / 4 + 1)}, DType::f32);
  // Pairs of a query and a key that it sees.
  const auto length = static_cast<double>(s.length), seen = static_cast<double>(window == 0 ? s.length : window);
  const double pairs = static_cast<double>(shape.batch * s.heads) * (length * seen - seen * (seen - 1) / 2);
  const double flops = 4.0 * pairs * static_cast<double>(s.head_dim);
  const std::string name = window == 0 ? "attention, all keys, " : "attention, window, ";
  bench.time(name + "forward", flops, bytes_of({qkv, out}), [&] {
    ops::attention_forward({.out = out,
                            .lse = lse,
                            .qkv = qkv,
                            .sinks = sinks,
                            .workspace = workspace,
                            .shape = shape,
                            .libraries = bench.libraries()},
                           bench.stream());
  });
  bench.time(name + "backward", 2.5 * flops, bytes_of({qkv, d_qkv, out, d_out}), [&] {
    ops::attention_backward({.d_qkv = d_qkv,
                             .d_sinks = d_sinks,
                             .d_out = d_out,
                             .out = out,
                             .lse = lse,
                             .qkv = qkv,
                             .sinks = sinks,
                             .workspace = workspace,
                             .shape = shape,
                             .libraries = bench.libraries()},
                            bench.stream());
  });
}

void time_rows(Bench& bench, const LayerShape& s) {
  const Tensor x = bench.random({s.tokens, s.hidden}), weight = bench.random({s.hidden});
  const Tensor out = bench.empty(x.shape(), bench.dtype()), rstd = bench.empty({s.tokens}, DType::f32);
  bench.time("rms_norm forward", 0, bytes_of({x, out}), [&] {
    ops::rms_norm_forward({.out = out, .rstd = rstd, .x = x, .weight = weight, .epsilon = 1e-5}, bench.stream());
  });
  const Tensor hidden = bench.random({s.rows(), 2 * s.ffn});
  const Tensor activated = bench.empty({s.rows(), s.ffn}, bench.dtype());
  bench.time("gated activation forward", 0, bytes_of({hidden, activated}), [&] {
    ops::gated_activation_forward(
        {.out = activated, .hidden = hidden, .gate_rows = {}, .kind = ops::GatedActivationKind::clamped_swiglu},
        bench.stream());
  });
}

DType dtype_of(const std::string& name) {
  if (name == "bf16") return DType::bf16;
  if (name == "f32") return DType::f32;
  throw UserError("op_times: dtype '" + name + "' is neither bf16 nor f32");
}

Json measure(const Json& task) {
  const Json& model = task.at("model");
  const auto number = [&](const char* name) { return model.at(name).get<int64_t>(); };
  const LayerShape s = {task.at("tokens").get<int64_t>(),
                        task.at("length").get<int64_t>(),
                        number("hidden"),
                        number("heads"),
                        number("kv_heads"),
                        number("head_dim"),
                        number("experts"),
                        number("experts_per_token"),
                        number("ffn"),
                        number("window_keys")};
  const bool cuda = task.at("device") == "cuda";
  if (is_emulated({cuda ? DeviceKind::cuda : DeviceKind::cpu, 0}))
    throw UserError("op_times: this build emulates the GPU, and its times say nothing about one; build preset cuda");
  if (!cuda && task.at("device") != "cpu") throw UserError("op_times: the device is neither cuda nor cpu");
  Bench bench({cuda ? DeviceKind::cuda : DeviceKind::cpu, 0}, dtype_of(task.at("dtype")), cuda ? 10 : 1);
  time_ceilings(bench, cuda ? 8192 : 512, cuda ? size_t{2} << 30 : size_t{64} << 20);
  const Tensor x = bench.random({s.tokens, s.hidden});
  const int64_t width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  const Tensor weight = bench.random({width, s.hidden}), qkv = bench.empty({s.tokens, width}, bench.dtype());
  bench.time("qkv projection", product_flops(s.tokens, width, s.hidden), bytes_of({x, weight, qkv}),
             [&] { bench.product(qkv, x, weight); });
  for (const bool uneven : {false, true}) time_experts(bench, s, uneven);
  for (const int64_t window : {s.window, int64_t{0}}) time_attention(bench, s, window);
  time_rows(bench, s);
  return {{"schema", "timetrial.op_times.1"}, {"task", task}, {"ops", bench.results()}, {"libraries", bench.choices()}};
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw UserError("usage: op_times JSON; see the first lines of op_times.cpp");
    std::printf("%s\n", measure(Json::parse(arguments[1])).dump().c_str());
    return 0;
  } catch (const UserError& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  } catch (const Json::exception& e) {
    std::fprintf(stderr, "op_times: the argument is not what is expected: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "op_times: %s\n", e.what());
    return 3;
  }
}
