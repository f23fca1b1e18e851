// Config -> workload -> data -> memory -> Trainer -> checked log -> one line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/worker_run.h"

#include <fmt/ranges.h>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "apps/exit_code.h"
#include "apps/outcome.h"
#include "apps/plan_print.h"
#include "apps/preflight.h"
#include "apps/worker_profile.h"
#include "timetrial/base/build.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/environment.h"
#include "timetrial/data/indexed_data_provider.h"
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

Device device_of(const RunConfig& config) {
  if (config.device.kind == DeviceKind::cpu) return {};
  if (!build::has_cuda)
    throw ConfigError("/device/kind",
                      "this program was built without CUDA; build it with --preset cuda or use \"cpu\"");
  if (device_count(DeviceKind::cuda) == 0)
    throw ConfigError("/device/kind",
                      "no CUDA device can be used on this machine (nvidia-smi lists them); use \"cpu\"");
  if (config.device.dtype == DType::f64)
    throw ConfigError("/device/dtype", "CUDA computes in f32 and bf16; f64 is for the CPU alone");
  return {.kind = config.device.kind};
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

// The referee at the gate: a run that claims the full benchmark and cannot be it does not start.
void refuse_rule_breaches(const std::vector<std::string>& breaches) {
  if (breaches.empty()) return;
  throw UserError(fmt::format(
      "{}{}; run it with --division open where the open rules allow it, or as variant \"custom\", which claims nothing",
      breaches.front(), breaches.size() > 1 ? fmt::format(" (and {} more)", breaches.size() - 1) : ""));
}

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

IndexedDataSpec data_spec(const RunConfig& config) {
  return {.train_prefixes = config.data.train,
          .train_weights = config.data.train_weights,
          .validation_prefix = config.data.validation,
          .sequence_length = config.model.sequence_length,
          .vocabulary = config.model.vocabulary,
          .global_batch = config.train.global_batch,
          .micro_batch = config.train.micro_batch,
          .training_samples = config.train.max_steps * config.train.global_batch,
          .evaluation_samples = config.evaluation.samples,
          .evaluation_batch = config.train.micro_batch,
          .seed = static_cast<uint32_t>(config.train.seed),
          .training_sampler = config.train.sampler,
          .evaluation_order = config.evaluation.order};
}

// What every run does first: seed, platform, and the refusal of what this machine cannot hold.
void prepare(RunConfig& config, const Workload& workload, Device device) {
  if (config.train.seed == 0) config.train.seed = drawn_seed();
  if (config.submission.platform.empty()) config.submission.platform = processor_name();
  check_memory(plan_memory(*workload.make_model(config, device), config));
  check_checkpoint(config, workload, config.data.checkpoint);
}

}  // namespace

// The log of an evaluation alone has no training in it, says so, and never claims success.
int evaluate_only(RunConfig config, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt) {
  if (config.data.checkpoint.empty())
    throw UserError("--eval-only needs weights: give --checkpoint DIR, a folder of safetensors");
  const std::optional<std::string> warning = set_threads(config);
  const Device device = device_of(config);
  prepare(config, workload, device);
  IndexedDataSpec spec = data_spec(config);
  spec.training_samples = 0;
  IndexedDataProvider data(spec);
  if (options.clear_caches) drop_file_caches();
  make_output_folder(config);
  RunLog log(config);
  log.init_start(options.clear_caches);
  log.configuration(config, data.training_samples());
  if (warning) log.warning(*warning);
  log.evaluation_only();
  const auto model = workload.make_model(config, device);
  Executor executor(*model, config, device);
  choose_weights(executor, config, workload);
  executor.initialize(static_cast<uint64_t>(config.train.seed));
  log.init_stop();
  log.run_start();
  log.flush();
  const double started = monotonic_seconds();
  log.evaluation_start(0);
  const std::optional<double> mean = evaluate_all(executor, data, config.model.sequence_length, interrupt);
  if (!mean) {
    log.run_stop("aborted", 0);
    fmt::print("{}/{}  evaluation interrupted; the log is closed as aborted  log: {}\n", config.workload,
               config.variant, log.path());
    return 128 + interrupt;
  }
  const double loss = *mean;
  const double seconds = monotonic_seconds() - started;
  log.evaluation_result({.step = 0, .samples = 0, .loss = loss, .seconds = seconds});
  log.evaluation_stop(0);
  log.run_stop("aborted", 0);
  if (options.json) {
    fmt::print("{}\n", Json{{"schema", "timetrial.evaluation.1"},
                            {"workload", config.workload},
                            {"variant", config.variant},
                            {"form", config.form},
                            {"checkpoint", config.data.checkpoint},
                            {"evaluation_loss", std::isfinite(loss) ? Json(loss) : Json(nullptr)},
                            {"sequences", config.evaluation.samples},
                            {"seconds", seconds},
                            {"log", log.path()}}
                           .dump(2));
  } else {
    fmt::print("{}/{}  evaluation loss {:.6f} over {} sequences of {} tokens in {:.1f} s  checkpoint: {}  log: {}\n",
               config.workload, config.variant, loss, config.evaluation.samples, config.model.sequence_length, seconds,
               config.data.checkpoint, log.path());
  }
  return std::isfinite(loss) ? kSuccess : kFailedCheck;
}

int train(RunConfig config, const Workload& workload, const RunOptions& options, const std::atomic<int>& interrupt) {
  const std::optional<std::string> warning = set_threads(config);
  const Device device = device_of(config);
  prepare(config, workload, device);
  IndexedDataProvider data(data_spec(config));
  if (options.clear_caches) drop_file_caches();  // before the output folder: a refused run leaves nothing behind
  auto reporter = make_progress(config, stderr);
  if (!options.metrics.empty()) reporter = make_metrics(options.metrics, std::move(reporter));
  make_output_folder(config);
  RunLog log(config);
  log.init_start(options.clear_caches);
  log.configuration(config, data.training_samples());
  if (warning) log.warning(*warning);
  const bool benchmark = is_benchmark(workload);
  if (!benchmark) log.warning(fmt::format("{} is no MLPerf benchmark, and no result", config.workload));

  const auto model = workload.make_model(config, device);
  Executor executor(*model, config, device);
  choose_weights(executor, config, workload);
  if (!options.metrics.empty()) executor.measure_expert_load();
  const RunResult result = Trainer(config, executor, data, log, *reporter, interrupt).run();

  save_checkpoint(executor, config, workload);  // after the clock has stopped
  const Verdict verdict = judge(log.path(), benchmark);
  if (options.json) {
    fmt::print("{}\n", outcome_json(config, result, verdict, log.path()).dump(2));
  } else {
    if (!benchmark) fmt::print("{}\n", time_per_step(result));
    fmt::print("{}\n", outcome_text(config, result, verdict, log.path()));
  }
  return exit_code_of(result, verdict.passed, interrupt);
}

int run_worker(const WorkerArguments& arguments, const std::atomic<int>& interrupt) {
  Overrides overrides;
  for (const std::string& text : arguments.overrides) overrides.push_back(split_override(text));
  const Json user = read_config_file(arguments.config);
  const auto workload = find_workload(workload_of(user, overrides));
  const RunConfig config = parse_run_config(user, workload->benchmark(), config_name(arguments.config), overrides);
  check_world(config.parallel, read_environment(), arguments.config);
  if (arguments.profile > 0) {
    if (config.device.kind == DeviceKind::cuda)
      throw ConfigError("/device/kind", "profile times ops on the CPU alone; use \"cpu\"");
    set_threads(config);
    RunConfig prepared = config;
    prepare(prepared, *workload, device_of(config));
    IndexedDataProvider data(data_spec(prepared));
    return profile(prepared, *workload, data, arguments.profile, arguments.json);
  }
  if (!arguments.verify_checkpoint.empty()) return verify_checkpoint(config, *workload, arguments.verify_checkpoint);
  const RunOptions options{
      .clear_caches = arguments.clear_caches, .json = arguments.json, .metrics = arguments.metrics};
  if (!arguments.plan && arguments.evaluate_only) return evaluate_only(config, *workload, options, interrupt);
  // A dry run is refused as the run would be; a plan shows whatever was asked for.
  if (is_benchmark(*workload) && (!arguments.plan || !arguments.command.empty()))
    refuse_rule_breaches(rule_breaches(user, workload->benchmark(), overrides, config));
  if (!arguments.plan) return train(config, *workload, options, interrupt);

  set_threads(config);  // scratch grows with them
  const auto model = workload->make_model(config, device_of(config));
  if (arguments.json) {
    Json plan = plan_json(config, *model);
    if (!arguments.command.empty()) plan["command"] = arguments.command;
    fmt::print("{}\n", plan.dump(2));
  } else {
    fmt::print("{}", plan_text(config, *model));
    if (!arguments.command.empty()) fmt::print("Command\n  {}\n", arguments.command);
  }
  return kSuccess;
}

}  // namespace timetrial::apps
