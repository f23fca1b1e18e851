// Checks and makes a rank in the one order in which nothing is written before all are through.
// SPDX-License-Identifier: Apache-2.0
#include "apps/rank_setup.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "apps/compute_device.h"
#include "apps/environment_record.h"
#include "apps/gate.h"
#include "apps/plan_print.h"
#include "apps/preflight.h"
#include "apps/start_check.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"
#include "timetrial/data/data_memory.h"
#include "timetrial/device/use_device.h"
#include "timetrial/train/metrics.h"
#include "timetrial/train/weights.h"

namespace timetrial::apps {

namespace {

// An evaluation alone reads no training files.
IndexedDataSpec data_of(const RunConfig& config, const RunOptions& options) {
  IndexedDataSpec spec = data_spec(config, 0);
  if (options.evaluate_only) spec.training_samples = 0;
  return spec;
}

// Seeds come from the operating system's entropy unless the user gave one (rules: one per run, never chosen by result).
int64_t drawn_seed() {
  std::random_device entropy;
  return static_cast<int64_t>(entropy() % 0xFFFFFFFFU) + 1;
}

DeviceMemory memory_of(Device device) {
  if (device.kind == DeviceKind::cpu) return {};
  return {[device] { return room_on(device).free; }, room_on(device).total};
}

}  // namespace

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
          .evaluation_order = config.evaluation.order,
          // As Megatron-LM counts them: one evaluation more than the steps have room for.
          .validation_samples =
              (config.train.max_steps / config.evaluation_interval_steps() + 1) * config.evaluation.samples};
}

void refuse_wrong_start(const RunConfig& config, const Workload& workload, const RunOptions& options) {
  const std::string& folder = config.data.checkpoint;
  if (options.evaluate_only && folder.empty())
    throw UserError("--eval-only needs weights: give --checkpoint DIR, a folder of safetensors");
  // The CPU's own profile needs no outside program.
  if (options.trace_steps > 0 && config.device.kind == DeviceKind::cpu)
    throw ConfigError("/device/kind",
                      "--trace-steps brackets steps for Nsight on \"cuda\"; on the CPU use timetrial profile");
  if (folder.empty()) return;
  const std::vector<std::string> wrong =
      checkpoint::problems(workload.checkpoint_format(config), checkpoint::CheckpointFolder(folder));
  if (wrong.empty()) return;
  throw UserError(wrong.size() == 1 ? wrong.front()
                                    : fmt::format("{} ({} problems in all; timetrial checkpoint verify lists them)",
                                                  wrong.front(), wrong.size()));
}

std::vector<std::string> refusals_here(const RunConfig& config, const Workload& workload, const RunOptions& options,
                                       int ranks_here) {
  std::vector<std::string> found;
  const auto passes = [&found](const auto& check) {
    try {
      check();
      return true;
    } catch (const UserError& refusal) {
      found.emplace_back(refusal.what());
      return false;
    }
  };
  passes([&] { refuse_closed_folder(config); });
  if (!options.metrics.empty() && !options.evaluate_only) passes([&] { refuse_used_metrics(options.metrics); });
  MemoryPlan memory = plan_memory(*workload.make_model(config, device_of(config)), config);
  const bool fits = passes([&] { check_memory(memory, config, ranks_here); });
  const std::vector<std::string> files = host_needs(config, {}).data_files;
  const auto readable = [](const std::string& path) { return access(path.c_str(), R_OK) == 0; };
  if (!std::all_of(files.begin(), files.end(), readable)) return found;  // the look at the host names them
  const IndexedDataSpec spec = data_of(config, options);
  const bool sound = passes([&] {
    check_token_files(spec);
    memory.data = planned_data_bytes(spec);
  });
  if (fits && sound) passes([&] { check_memory(memory, config, ranks_here); });
  return found;
}

Rank prepare(RunConfig config, const Workload& workload, const RunOptions& options, comm::Bootstrap& bootstrap,
             RankLog& own) {
  refuse_wrong_start(config, workload, options);
  Rank rank;
  rank.first = bootstrap.rank() == 0;
  for (const auto& warning :
       {set_threads(config, {.ranks_on_cores = ranks_on_same_cores(bootstrap), .print = rank.first}),
        compare_clocks(bootstrap)})
    if (warning) rank.warnings.push_back(*warning);
  use_device(rank.device = device_of(config, bootstrap));
  rank.seed_drawn = config.train.seed == 0;
  if (rank.seed_drawn) config.train.seed = std::stoll(bootstrap.all_gather(std::to_string(drawn_seed())).front());
  if (config.submission.platform.empty()) config.submission.platform = bootstrap.all_gather(processor_name()).front();
  if (const auto warning = batch_warning(config, workload.benchmark())) {
    if (rank.first) std::fputs(fmt::format("warning: {}\n", *warning).c_str(), stderr);
    rank.warnings.push_back(*warning);
  }
  for (const std::string& line : check_hosts(config, options.environment, bootstrap, rank.device))
    rank.warnings.push_back(line);
  for (const std::string& line : rank.warnings) own.warn(line);
  // MLPerf's initialisation begins where a model is first built (spec 12.1), with its caches dropped before.
  if (options.clear_caches && bootstrap.local_rank() == 0) drop_file_caches();
  rank.init_start_ms = unix_milliseconds();
  IndexedDataSpec spec = data_of(config, options);
  MemoryPlan memory = plan_memory(*workload.make_model(config, rank.device), config);
  check_memory(memory, config, bootstrap.local_size());  // what does not fit is refused with or without its data files
  memory.data = planned_data_bytes(spec);
  check_memory(memory, config, bootstrap.local_size());
  if (config.device.kind == DeviceKind::cuda && bootstrap.size() > 1) {
    refuse_used_folder(config);
    set_nccl_output(config.output.folder, bootstrap.rank());
    own.open(config.output.folder);  // before NCCL, because that is where starts go wrong
  }
  rank.memory = memory_of(rank.device);
  rank.memory.mark("context");
  rank.mesh = std::make_unique<ProcessMesh>(
      config.parallel,
      bootstrap.make_world(rank.device, {.init = config.cluster.init_deadline, .call = config.cluster.init_deadline}));
  rank.memory.mark("NCCL");
  spec.dp_rank = rank.mesh->data_rank();
  rank.data = std::make_unique<IndexedDataProvider>(spec);
  bootstrap.all_gather("ready");
  rank.config = std::move(config);
  return rank;
}

std::unique_ptr<RunLog> start_log(const Rank& rank, const RunOptions& options, comm::Bootstrap& bootstrap,
                                  RankLog& own) {
  const Json environment = gather_environment(bootstrap);
  const std::string& folder = rank.config.output.folder;
  if (rank.first) make_output_folder(rank.config);
  bootstrap.all_gather("output folder made");
  own.open(folder);
  if (!rank.first) return std::make_unique<RunLog>();
  auto log = std::make_unique<RunLog>(rank.config);
  log->init_start(options.clear_caches || options.caches_cleared, rank.init_start_ms);
  log->configuration(rank.config, rank.data->training_samples());
  log->seed_drawn(rank.seed_drawn);
  for (const std::string& warning : rank.warnings) log->warning(warning);
  log->environment(write_environment(environment, folder), static_cast<int64_t>(environment["rank_0"].size()),
                   static_cast<int64_t>(environment["differences"].size()));
  return log;
}

void choose_weights(Executor& executor, const RunConfig& config, const Workload& workload) {
  if (config.data.checkpoint.empty()) return;
  executor.start_from([&config, &workload](ParameterStore& store, StreamRef stream) {
    load_weights(store, workload.checkpoint_format(config), config.data.checkpoint, stream);
  });
}

bool is_benchmark(const Workload& workload) { return !workload.benchmark()["mlperf"]["benchmark"].is_null(); }

}  // namespace timetrial::apps
