// Name, rules and model of deepseekv3_671b; benchmark.json travels inside the program.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/deepseekv3_671b/workload.h"

#include <nlohmann/json.hpp>

#include "workloads/deepseekv3_671b/checkpoint.h"
#include "workloads/deepseekv3_671b/model.h"

namespace timetrial {

namespace embedded {
extern const std::string_view deepseekv3_671b_benchmark;
}

namespace deepseekv3_671b {

namespace {

class DeepSeekWorkload : public Workload {
 public:
  DeepSeekWorkload()
      : benchmark_(parse_json(embedded::deepseekv3_671b_benchmark, "workloads/deepseekv3_671b/benchmark.json")) {}
  std::string_view name() const override { return "deepseekv3_671b"; }
  const Json& benchmark() const override { return benchmark_; }
  std::unique_ptr<Model> make_model(const RunConfig& config, Device device) const override {
    return std::make_unique<DeepSeek>(
        config.model, config.device.dtype, device,
        ops::AttentionSettings{.kernels = config.device.attention, .deterministic = config.device.deterministic});
  }

  checkpoint::Format checkpoint_format(const RunConfig& config) const override {
    return deepseekv3_671b::checkpoint_format(config.model);
  }

 private:
  Json benchmark_;
};

}  // namespace

std::unique_ptr<Workload> make_workload() { return std::make_unique<DeepSeekWorkload>(); }

}  // namespace deepseekv3_671b
}  // namespace timetrial
