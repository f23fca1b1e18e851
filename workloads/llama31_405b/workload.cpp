// Name, rules and model of llama31_405b; benchmark.json travels inside the program.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/llama31_405b/workload.h"

#include <nlohmann/json.hpp>

#include "workloads/llama31_405b/checkpoint.h"
#include "workloads/llama31_405b/model.h"

namespace timetrial {

namespace embedded {
extern const std::string_view llama31_405b_benchmark;
}

namespace llama31_405b {

namespace {

class LlamaWorkload : public Workload {
 public:
  LlamaWorkload() : benchmark_(parse_json(embedded::llama31_405b_benchmark, "workloads/llama31_405b/benchmark.json")) {}
  std::string_view name() const override { return "llama31_405b"; }
  const Json& benchmark() const override { return benchmark_; }
  std::unique_ptr<Model> make_model(const RunConfig& config, Device device) const override {
    return std::make_unique<Llama>(
        config.model, config.device.dtype, device,
        ops::AttentionSettings{.kernels = config.device.attention, .deterministic = config.device.deterministic});
  }

  checkpoint::Format checkpoint_format(const RunConfig& config) const override {
    return llama31_405b::checkpoint_format(config.model);
  }

 private:
  Json benchmark_;
};

}  // namespace

std::unique_ptr<Workload> make_workload() { return std::make_unique<LlamaWorkload>(); }

}  // namespace llama31_405b
}  // namespace timetrial
