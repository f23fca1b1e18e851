// Name, rules and model of gpt_oss_20b; benchmark.json travels inside the program.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/gpt_oss_20b/workload.h"

#include <nlohmann/json.hpp>

#include "workloads/gpt_oss_20b/checkpoint.h"
#include "workloads/gpt_oss_20b/model.h"

namespace timetrial {

namespace embedded {
extern const std::string_view gpt_oss_20b_benchmark;
}

namespace gpt_oss_20b {

namespace {

class GptOssWorkload : public Workload {
 public:
  GptOssWorkload() : benchmark_(parse_json(embedded::gpt_oss_20b_benchmark, "workloads/gpt_oss_20b/benchmark.json")) {}
  std::string_view name() const override { return "gpt_oss_20b"; }
  const Json& benchmark() const override { return benchmark_; }
  std::unique_ptr<Model> make_model(const RunConfig& config, Device device) const override {
    return std::make_unique<GptOss>(
        config.model, config.device.dtype, device,
        ops::AttentionSettings{.kernels = config.device.attention, .deterministic = config.device.deterministic});
  }

  checkpoint::Format checkpoint_format(const RunConfig& config) const override {
    return gpt_oss_20b::checkpoint_format(config.model);
  }

 private:
  Json benchmark_;
};

}  // namespace

std::unique_ptr<Workload> make_workload() { return std::make_unique<GptOssWorkload>(); }

}  // namespace gpt_oss_20b
}  // namespace timetrial
