// For tests: the log that a full-size run of a workload would write, by the code that writes every run's log,
// with losses from a scripted curve. No such run happened: the organisation is TEST. SPDX-License-Identifier:
// Apache-2.0
#include <fmt/core.h>

#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "timetrial/base/clock.h"
#include "timetrial/config/schedule.h"
#include "timetrial/train/run_log.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial {
namespace {

std::unique_ptr<Workload> find_workload(const std::string& name) {
  if (name == "gpt_oss_20b") return gpt_oss_20b::make_workload();
  if (name == "llama31_405b") return llama31_405b::make_workload();
  if (name == "deepseekv3_671b") return deepseekv3_671b::make_workload();
  throw UserError(fmt::format("no workload {}", name));
}

RunConfig full_config(const Workload& workload, const std::string& folder, const Overrides& overrides) {
  Json train = "en_6";
  if (workload.name() == "llama31_405b") train = Json::array({"en_6", "en_7"});
  const std::string weights = workload.name() == "gpt_oss_20b" ? "" : "weights";
  const Json user = {
      {"workload", workload.name()},
      {"variant", "full"},
      {"data", {{"train", train}, {"validation", "validation"}, {"checkpoint", weights}}},
      {"train", {{"seed", 20817}}},
      {"submission", {{"organization", "TEST"}, {"platform", "TEST_scripted"}, {"status", "Available on-premise"}}},
      {"output", {{"folder", folder}}}};
  RunConfig config = parse_run_config(user, workload.benchmark(), "scripted", overrides);
  for (const std::string& breach : rule_breaches(user, workload.benchmark(), overrides, config))
    throw UserError(breach);
  return config;
}

// Falls to the target in the evaluation after next of those that the schedule has.
double scripted_loss(const RunConfig& config, int64_t step) {
  const auto first = static_cast<double>(config.first_evaluation_step());
  const auto interval = static_cast<double>(config.evaluation_interval_steps());
  return config.evaluation.target + 0.01 * ((first + 2 * interval) - static_cast<double>(step)) / interval;
}

void write(const RunConfig& config) {
  RunLog log(config);
  log.init_start(true, unix_milliseconds());
  log.configuration(config, config.train.max_steps * config.train.global_batch);
  log.init_stop();
  log.run_start();
  const int64_t batch = config.train.global_batch, interval = config.evaluation_interval_steps();
  log.block_start(0);
  for (int64_t step = config.first_evaluation_step();; step += interval) {
    log.train_step({.step = step,
                    .samples = step * batch,
                    .loss = scripted_loss(config, step) + 0.02,
                    .gradient_norm = 0.5,
                    .learning_rate = learning_rate_at(config.train, step - 1)},
                   0.41);
    log.block_stop(step * batch);
    const double loss = scripted_loss(config, step);
    log.evaluation_start(step * batch);
    log.evaluation_result({.step = step, .samples = step * batch, .loss = loss, .seconds = 1});
    log.evaluation_stop(step * batch);
    if (loss <= config.evaluation.target) return log.run_stop("success", step * batch);
    log.block_start(step * batch);
  }
}

}  // namespace
}  // namespace timetrial

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: write_full_log WORKLOAD FOLDER [KEY=VALUE...]\n");
    return 2;
  }
  try {
    const auto workload = timetrial::find_workload(argv[1]);
    timetrial::Overrides overrides;
    for (int i = 3; i < argc; ++i) overrides.push_back(timetrial::split_override(argv[i]));
    timetrial::write(timetrial::full_config(*workload, argv[2], overrides));
  } catch (const std::exception& error) {
    fmt::print(stderr, "write_full_log: {}\n", error.what());
    return 2;
  }
  return 0;
}
