// Arguments -> configuration and workload -> the kind of run that was asked for.
// SPDX-License-Identifier: Apache-2.0
#include "apps/worker_run.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "apps/compute_device.h"
#include "apps/evaluate_run.h"
#include "apps/exit_code.h"
#include "apps/gate.h"
#include "apps/plan_print.h"
#include "apps/plan_ranks.h"
#include "apps/preflight.h"
#include "apps/rank_setup.h"
#include "apps/train_run.h"
#include "apps/worker_profile.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/start_facts.h"
#include "timetrial/train/weights.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"
#include "workloads/null/workload.h"

namespace timetrial::apps {

namespace {

std::unique_ptr<Workload> find_workload(const std::string& name) {
  std::vector<std::unique_ptr<Workload>> all;
  all.push_back(gpt_oss_20b::make_workload());
  all.push_back(llama31_405b::make_workload());
  all.push_back(deepseekv3_671b::make_workload());
  all.push_back(null_workload::make_workload());
  std::vector<std::string> names;
  for (auto& workload : all) {
    if (workload->name() == name) return std::move(workload);
    names.emplace_back(workload->name());
  }
  const std::string nearest = nearest_word(name, names);
  throw ConfigError("/workload", fmt::format("\"{}\" is not built here{}", name,
                                             nearest.empty() ? fmt::format("; there are {}", fmt::join(names, ", "))
                                                             : ", did you mean \"" + nearest + "\"?"));
}

int verify_checkpoint(const RunConfig& config, const Workload& workload, const std::string& folder) {
  const std::vector<std::string> wrong =
      checkpoint::problems(workload.checkpoint_format(config), checkpoint::CheckpointFolder(folder));
  for (const std::string& line : wrong) fmt::print("{}\n", line);
  fmt::print("{}: {} {}/{} ({})\n", folder, wrong.empty() ? "fits" : "does not fit", config.workload, config.variant,
             config.form);
  return wrong.empty() ? kSuccess : kFailedCheck;
}

// Data-parallel ranks where so many are there in all.
int data_ranks(const ParallelPlan& plan, int64_t ranks) {
  const int64_t others = int64_t{plan.tensor} * plan.pipeline * plan.context;
  if (ranks % others == 0) return static_cast<int>(ranks / others);
  throw UserError(fmt::format("--ranks {} is no multiple of tp {} x pp {} x cp {} = {}; use {} or {}", ranks,
                              plan.tensor, plan.pipeline, plan.context, others,
                              std::max<int64_t>(ranks / others, 1) * others, (ranks / others + 1) * others));
}

}  // namespace

int run_worker(const WorkerArguments& arguments, const std::atomic<int>& interrupt) {
  Overrides overrides;
  for (const std::string& text : arguments.overrides) overrides.push_back(split_override(text));
  const Json user = read_config_file(arguments.config);
  const auto workload = find_workload(workload_of(user, overrides));
  RunConfig config = parse_run_config(user, workload->benchmark(), config_name(arguments.config), overrides);
  if (arguments.ranks > 0) {
    overrides.emplace_back("parallel.dp", std::to_string(data_ranks(config.parallel, arguments.ranks)));
    config = parse_run_config(user, workload->benchmark(), config_name(arguments.config), overrides);
  }
  if (arguments.start_facts) {
    if (is_benchmark(*workload) && !arguments.evaluate_only)
      refuse_rule_breaches(rule_breaches(user, workload->benchmark(), overrides, config));
    fmt::print("{}\n", text_of(start_facts(config)));
    return kSuccess;
  }
  const Environment environment = read_environment();
  if (!arguments.plan && environment.rank) check_world(config.parallel, environment, arguments.config);
  if (arguments.profile > 0) {
    if (config.parallel.world_size() > 1)
      throw ConfigError("/parallel/dp", "profile looks at one rank; set every axis of parallel to 1");
    if (config.device.kind == DeviceKind::cuda)
      throw ConfigError("/device/kind", "profile times ops on the CPU alone; use \"cpu\"");
    const auto alone = comm::make_single_bootstrap();
    RankLog own(*alone);
    const Rank rank = prepare(config, *workload, {}, *alone, own);
    return profile(rank.config, *workload, *rank.data, arguments.profile, arguments.json);
  }
  if (!arguments.verify_checkpoint.empty()) return verify_checkpoint(config, *workload, arguments.verify_checkpoint);
  const RunOptions options{.clear_caches = arguments.clear_caches,
                           .caches_cleared = arguments.caches_cleared,
                           .json = arguments.json,
                           .metrics = arguments.metrics,
                           .trace_steps = arguments.trace_steps,
                           .evaluate_only = arguments.evaluate_only,
                           .environment = environment};
  if (!arguments.plan && arguments.evaluate_only) return evaluate_only(config, *workload, options, interrupt);
  // A dry run is refused as the run would be; a plan shows whatever was asked for.
  if (is_benchmark(*workload) && !arguments.evaluate_only && (!arguments.plan || !arguments.command.empty())) {
    refuse_emulation(config, workload->benchmark());
    refuse_rule_breaches(rule_breaches(user, workload->benchmark(), overrides, config));
  }
  if (!arguments.plan) return train(config, *workload, options, interrupt);

  if (arguments.rank_map) {
    fmt::print("{}", rank_map_text(config));
    return kSuccess;
  }
  // Scratch grows with threads, and this machine stands for every host.
  const int neighbours = std::min(config.cluster.ranks_per_host, config.parallel.world_size());
  set_threads(config, {.ranks_on_cores = neighbours, .print = false});
  const auto model = workload->make_model(config, device_of(config));
  Json plan = plan_json(config, *model);
  std::string text = plan_text(config, *model);
  const auto warning = batch_warning(config, workload->benchmark());
  plan["warnings"] = warning ? Json::array({*warning}) : Json::array();
  if (warning) text += fmt::format("Warning: {}\n", *warning);
  int errors = 0;
  if (!arguments.command.empty()) {
    require_trainable(config.parallel);
    refuse_wrong_start(config, *workload, options);
    errors = add_host(config, refusals_here(config, *workload, options, neighbours), plan, text);
    if (errors > 0) text = fmt::format("Would not start: {} error{} below.\n", errors, errors == 1 ? "" : "s") + text;
    plan["would_start"] = errors == 0;
    plan["command"] = arguments.command;
    text += fmt::format("Command\n  {}\n", arguments.command);
  }
  fmt::print("{}{}", arguments.json ? plan.dump(2) : text, arguments.json ? "\n" : "");
  return errors > 0 ? kUserError : kSuccess;
}

}  // namespace timetrial::apps
