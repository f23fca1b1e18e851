// Config -> workload -> data -> memory -> Trainer -> checked log -> one line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/worker_run.h"

#include <fmt/ranges.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "apps/compute_device.h"
#include "apps/environment_record.h"
#include "apps/exit_code.h"
#include "apps/gate.h"
#include "apps/outcome.h"
#include "apps/plan_print.h"
#include "apps/plan_ranks.h"
#include "apps/preflight.h"
#include "apps/rank_log.h"
#include "apps/rank_watch.h"
#include "apps/start_check.h"
#include "apps/worker_profile.h"
#include "timetrial/base/build.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/environment.h"
#include "timetrial/config/start_facts.h"
#include "timetrial/data/indexed_data_provider.h"
#include "timetrial/train/device_watch.h"
#include "timetrial/train/metrics.h"
#include "timetrial/train/trainer.h"
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

// Seeds come from the operating system's entropy unless the user gave one (rules: one per run, never chosen by result).
int64_t drawn_seed() {
  std::random_device entropy;
  return static_cast<int64_t>(entropy() % 0xFFFFFFFFU) + 1;
}

// The CPU's own profile needs no outside program.
void check_trace(const RunConfig& config, int64_t steps) {
  if (steps > 0 && config.device.kind == DeviceKind::cpu)
    throw ConfigError("/device/kind",
                      "--trace-steps brackets steps for Nsight on \"cuda\"; on the CPU use timetrial profile");
}

// Weights come from the checkpoint that the run names, if it names one.
void choose_weights(Executor& executor, const RunConfig& config, const Workload& workload) {
  if (config.data.checkpoint.empty()) return;
  executor.start_from([&config, &workload](ParameterStore& store, StreamRef stream) {
    load_weights(store, workload.checkpoint_format(config), config.data.checkpoint, stream);
  });
}

// A checkpoint that does not fit is refused before anything is written; only headers are read here.
void check_checkpoint(const RunConfig& config, const Workload& workload, const std::string& folder) {
  if (folder.empty()) return;
  const std::vector<std::string> wrong =
      checkpoint::problems(workload.checkpoint_format(config), checkpoint::CheckpointFolder(folder));
  if (wrong.empty()) return;
  throw UserError(wrong.size() == 1 ? wrong.front()
                                    : fmt::format("{} ({} problems in all; timetrial checkpoint verify lists them)",
                                                  wrong.front(), wrong.size()));
}

// A workload without rules, such as the null one, is none.
bool is_benchmark(const Workload& workload) { return !workload.benchmark()["mlperf"]["benchmark"].is_null(); }

int verify_checkpoint(const RunConfig& config, const Workload& workload, const std::string& folder) {
  const std::vector<std::string> wrong =
      checkpoint::problems(workload.checkpoint_format(config), checkpoint::CheckpointFolder(folder));
  for (const std::string& line : wrong) fmt::print("{}\n", line);
  fmt::print("{}: {} {}/{} ({})\n", folder, wrong.empty() ? "fits" : "does not fit", config.workload, config.variant,
             config.form);
  return wrong.empty() ? kSuccess : kFailedCheck;
}

void save_checkpoint(Executor& executor, const RunConfig& config, const Workload& workload) {
  if (config.output.checkpoint.empty()) return;
  save_weights(executor.parameters(), workload.checkpoint_format(config),
               {.folder = config.output.checkpoint, .type = checkpoint::stored_type_of(config.output.checkpoint_type)},
               executor.stream());
}

IndexedDataSpec data_spec(const RunConfig& config, int data_rank) {
  return {.train_prefixes = config.data.train,
          .train_weights = config.data.train_weights,
          .validation_prefix = config.data.validation,
          .sequence_length = config.model.sequence_length,
          .vocabulary = config.model.vocabulary,
          .global_batch = config.train.global_batch,
          .micro_batch = config.train.micro_batch,
          .training_samples = config.train.max_steps * config.train.global_batch,
          .evaluation_samples = config.evaluation.samples,
          .evaluation_batch = config.train.micro_batch * config.parallel.data,
          .seed = static_cast<uint32_t>(config.train.seed),
          .dp_rank = data_rank,
          .dp_size = config.parallel.data,
          .training_sampler = config.train.sampler,
          .evaluation_order = config.evaluation.order};
}

// Data-parallel ranks where so many are there in all.
int data_ranks(const ParallelPlan& plan, int64_t ranks) {
  const int64_t others = int64_t{plan.tensor} * plan.pipeline * plan.context;
  if (ranks % others == 0) return static_cast<int>(ranks / others);
  throw UserError(fmt::format("--ranks {} is no multiple of tp {} x pp {} x cp {} = {}; use {} or {}", ranks,
                              plan.tensor, plan.pipeline, plan.context, others,
                              std::max<int64_t>(ranks / others, 1) * others, (ranks / others + 1) * others));
}

// What a rank is made of before its log and its model are.
struct Rank {
  RunConfig config;  // seed and platform filled in, the same on all ranks
  Device device;
  std::vector<std::string> warnings;
  std::unique_ptr<ProcessMesh> mesh;
  std::unique_ptr<DataProvider> data;
  bool first = true;  // prints, logs and saves for all
};

// What every run does first: threads, seed, platform, and the refusal of what this machine cannot hold or read. Nothing
// is written before all ranks are through.
Rank prepare(RunConfig config, const Workload& workload, const RunOptions& options, comm::Bootstrap& bootstrap,
             RankLog& own) {
  Rank rank;
  rank.first = bootstrap.rank() == 0;
  for (const auto& warning :
       {set_threads(config, {.ranks_on_cores = ranks_on_same_cores(bootstrap), .print = rank.first}),
        compare_clocks(bootstrap)})
    if (warning) {
      rank.warnings.push_back(*warning);
      own.warn(*warning);
    }
  rank.device = device_of(config, bootstrap.local_rank());
  if (config.train.seed == 0)
    config.train.seed = std::stoll(bootstrap.all_gather(std::to_string(drawn_seed())).front());
  if (config.submission.platform.empty()) config.submission.platform = bootstrap.all_gather(processor_name()).front();
  for (const std::string& line : check_hosts(config, options.environment, bootstrap, rank.device)) {
    rank.warnings.push_back(line);
    own.warn(line);
  }
  check_memory(plan_memory(*workload.make_model(config, rank.device), config), config, bootstrap.local_size());
  check_checkpoint(config, workload, config.data.checkpoint);
  if (config.device.kind == DeviceKind::cuda && bootstrap.size() > 1) {
    refuse_used_folder(config);
    set_nccl_output(config.output.folder, bootstrap.rank());
    own.open(config.output.folder);  // before NCCL, because that is where starts go wrong
  }
  rank.mesh = std::make_unique<ProcessMesh>(
      config.parallel,
      bootstrap.make_world(rank.device, {.init = config.cluster.init_deadline, .call = config.cluster.init_deadline}));
  IndexedDataSpec spec = data_spec(config, rank.mesh->data_rank());
  if (options.evaluate_only) spec.training_samples = 0;
  rank.data = std::make_unique<IndexedDataProvider>(spec);
  bootstrap.all_gather("ready");
  rank.config = std::move(config);
  return rank;
}

// The folder and the log of the run; on ranks after the first a log that writes nothing.
std::unique_ptr<RunLog> start_log(const Rank& rank, bool clear_caches, comm::Bootstrap& bootstrap, RankLog& own) {
  const Json environment = gather_environment(bootstrap);
  const std::string& folder = rank.config.output.folder;
  if (rank.first) make_output_folder(rank.config);
  bootstrap.all_gather("output folder made");
  own.open(folder);
  if (!rank.first) return std::make_unique<RunLog>();
  auto log = std::make_unique<RunLog>(rank.config);
  log->init_start(clear_caches);
  log->configuration(rank.config, rank.data->training_samples());
  for (const std::string& warning : rank.warnings) log->warning(warning);
  log->environment(write_environment(environment, folder), static_cast<int64_t>(environment["rank_0"].size()),
                   static_cast<int64_t>(environment["differences"].size()));
  return log;
}

// The log of an evaluation alone has no training in it, says so, and never claims success.
int evaluate_rank(const RunConfig& asked, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt, comm::Bootstrap& bootstrap, RankLog& own) {
  Rank rank = prepare(asked, workload, options, bootstrap, own);
  const RunConfig& config = rank.config;
  if (options.clear_caches && bootstrap.local_rank() == 0) drop_file_caches();
  const std::unique_ptr<RunLog> log = start_log(rank, options.clear_caches, bootstrap, own);
  const ComputeDevice compute = look_at(rank.device);
  log_device(compute, *log);
  own.say(describe(rank.device, compute));
  log->evaluation_only();
  const auto model = workload.make_model(config, rank.device);
  Executor executor(*model, config, rank.device, rank.mesh.get());
  log->libraries(model->choices());
  choose_weights(executor, config, workload);
  executor.initialize(static_cast<uint64_t>(config.train.seed));
  log->init_stop();
  log->run_start();
  log->flush();
  const double started = monotonic_seconds();
  log->evaluation_start(0);
  const std::optional<double> mean = evaluate_all(executor, *rank.data, config.model.sequence_length, interrupt);
  if (!mean) {
    log->run_stop("aborted", 0);
    if (rank.first)
      fmt::print("{}/{}  evaluation interrupted; the log is closed as aborted  log: {}\n", config.workload,
                 config.variant, log->path());
    return 128 + interrupt;
  }
  const double loss = *mean;
  const double seconds = monotonic_seconds() - started;
  log->evaluation_result({.step = 0, .samples = 0, .loss = loss, .seconds = seconds});
  log->evaluation_stop(0);
  log->run_stop("aborted", 0);
  const int code = std::isfinite(loss) ? kSuccess : kFailedCheck;
  if (!rank.first) return code;
  if (options.json) {
    fmt::print("{}\n", Json{{"schema", "timetrial.evaluation.1"},
                            {"workload", config.workload},
                            {"variant", config.variant},
                            {"form", config.form},
                            {"checkpoint", config.data.checkpoint},
                            {"evaluation_loss", std::isfinite(loss) ? Json(loss) : Json(nullptr)},
                            {"sequences", config.evaluation.samples},
                            {"seconds", seconds},
                            {"log", log->path()}}
                           .dump(2));
  } else {
    fmt::print("{}/{}  evaluation loss {:.6f} over {} sequences of {} tokens in {:.1f} s  checkpoint: {}  log: {}\n",
               config.workload, config.variant, loss, config.evaluation.samples, config.model.sequence_length, seconds,
               config.data.checkpoint, log->path());
  }
  return code;
}

int train_rank(const RunConfig& asked, const Workload& workload, const RunOptions& options,
               const std::atomic<int>& interrupt, comm::Bootstrap& bootstrap, RankLog& own) {
  check_trace(asked, options.trace_steps);
  Rank rank = prepare(asked, workload, options, bootstrap, own);
  const RunConfig& config = rank.config;
  // Before the output folder: a refused run leaves nothing behind.
  if (options.clear_caches && bootstrap.local_rank() == 0) drop_file_caches();
  const auto model = workload.make_model(config, rank.device);
  const ComputeDevice compute = look_at(rank.device);
  const Utilization utilization =
      utilization_of(config, model->counts(config.model).train_flops_per_token, compute.name);
  auto reporter = rank.first ? make_progress(config, stderr) : make_silence();
  if (rank.first && !options.metrics.empty())
    reporter = make_metrics(options.metrics, utilization, std::move(reporter));
  const std::unique_ptr<RunLog> log = start_log(rank, options.clear_caches, bootstrap, own);
  own.say(describe(rank.device, compute));
  const bool benchmark = is_benchmark(workload);
  if (!benchmark) log->warning(fmt::format("{} is no MLPerf benchmark, and no result", config.workload));
  log_device(compute, *log);
  DeviceWatch* watch = nullptr;
  if (compute.sensors) {
    auto watching = std::make_unique<DeviceWatch>(*compute.sensors, *log, std::move(reporter));
    watch = watching.get();
    reporter = std::move(watching);
  }
  reporter = std::make_unique<LoggedReports>(own, std::move(reporter));
  reporter = std::make_unique<RankWatch>(bootstrap, *rank.mesh, std::move(reporter));

  Executor executor(*model, config, rank.device, rank.mesh.get());
  log->libraries(model->choices());
  choose_weights(executor, config, workload);
  if (!options.metrics.empty()) executor.measure_expert_load();
  Trainer trainer(config, executor, *rank.data, *log, *reporter, interrupt);
  trainer.trace_steps(options.trace_steps);
  const RunResult result = trainer.run();
  own.phase("after the run");
  own.say(fmt::format("{} steps, {} samples, last evaluation loss {:.6f}", result.steps, result.samples,
                      result.evaluation_loss));
  if (watch) own.say(watch->summary());
  if (!rank.first) return exit_code_of(result, true);

  save_checkpoint(executor, config, workload);  // after the clock has stopped
  const Verdict verdict = judge(log->path(), benchmark);
  if (options.json) {
    Json outcome = outcome_json(config, result, verdict, log->path());
    outcome["utilization"] = utilization.json(tokens_per_second(config, result));
    outcome["device_watch"] = watch ? Json(watch->summary()) : Json(nullptr);
    fmt::print("{}\n", outcome.dump(2));
  } else {
    if (!benchmark) fmt::print("{}\n", time_per_step(result));
    if (rank.device.kind == DeviceKind::cuda) fmt::print("{}\n", utilization.text(tokens_per_second(config, result)));
    if (watch) fmt::print("{}\n", watch->summary());
    fmt::print("{}\n", outcome_text(config, result, verdict, log->path()));
  }
  return exit_code_of(result, verdict.passed);
}

}  // namespace

int evaluate_only(const RunConfig& config, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt) {
  if (config.data.checkpoint.empty())
    throw UserError("--eval-only needs weights: give --checkpoint DIR, a folder of safetensors");
  require_trainable(config.parallel);
  return on_every_rank(config, options.environment, options.processes,
                       logged([&](comm::Bootstrap& bootstrap, RankLog& own) {
                         return evaluate_rank(config, workload, options, interrupt, bootstrap, own);
                       }));
}

int train(const RunConfig& config, const Workload& workload, const RunOptions& options,
          const std::atomic<int>& interrupt) {
  require_trainable(config.parallel);
  return on_every_rank(config, options.environment, options.processes,
                       logged([&](comm::Bootstrap& bootstrap, RankLog& own) {
                         return train_rank(config, workload, options, interrupt, bootstrap, own);
                       }));
}

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
                           .json = arguments.json,
                           .metrics = arguments.metrics,
                           .trace_steps = arguments.trace_steps,
                           .evaluate_only = arguments.evaluate_only,
                           .environment = environment};
  if (!arguments.plan && arguments.evaluate_only) return evaluate_only(config, *workload, options, interrupt);
  // A dry run is refused as the run would be; a plan shows whatever was asked for.
  if (is_benchmark(*workload) && (!arguments.plan || !arguments.command.empty())) {
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
  const auto model = workload->make_model(config, device_of(config, 0));
  Json plan = plan_json(config, *model);
  std::string text = plan_text(config, *model);
  if (!arguments.command.empty()) {
    add_host(config, plan, text);
    plan["command"] = arguments.command;
    text += fmt::format("Command\n  {}\n", arguments.command);
  }
  fmt::print("{}{}", arguments.json ? plan.dump(2) : text, arguments.json ? "\n" : "");
  return kSuccess;
}

}  // namespace timetrial::apps
