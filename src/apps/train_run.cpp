// Rank -> memory -> Trainer -> checked log -> one line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/train_run.h"

#include <nlohmann/json.hpp>

#include "apps/compute_device.h"
#include "apps/exit_code.h"
#include "apps/outcome.h"
#include "apps/preflight.h"
#include "apps/rank_setup.h"
#include "apps/rank_watch.h"
#include "timetrial/train/device_watch.h"
#include "timetrial/train/memory_plan.h"
#include "timetrial/train/metrics.h"
#include "timetrial/train/trainer.h"
#include "timetrial/train/weights.h"

namespace timetrial::apps {

namespace {

void save_checkpoint(Executor& executor, const RunConfig& config, const Workload& workload) {
  if (config.output.checkpoint.empty()) return;
  save_weights(executor.parameters(), workload.checkpoint_format(config),
               {.folder = config.output.checkpoint, .type = checkpoint::stored_type_of(config.output.checkpoint_type)},
               executor.stream());
}

int train_rank(const RunConfig& asked, const Workload& workload, const RunOptions& options,
               const std::atomic<int>& interrupt, comm::Bootstrap& bootstrap, RankLog& own) {
  Rank rank = prepare(asked, workload, options, bootstrap, own);
  const RunConfig& config = rank.config;
  const auto model = workload.make_model(config, rank.device);
  const ComputeDevice compute = look_at(rank.device);
  const Utilization utilization =
      utilization_of(config, model->counts(config.model).train_flops_per_token, compute.name);
  auto reporter = rank.first ? make_progress(config, stderr) : make_silence();
  if (rank.first && !options.metrics.empty()) {
    refuse_used_folder(config);  // before the metrics file is made, which would stay
    reporter = make_metrics(options.metrics, utilization, std::move(reporter));
  }
  const std::unique_ptr<RunLog> log = start_log(rank, options, bootstrap, own);
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
  rank.memory.mark("engine");
  log->libraries(model->choices());
  choose_weights(executor, config, workload);
  if (!options.metrics.empty()) executor.measure_expert_load();
  Trainer trainer(config, executor, *rank.data, *log, *reporter, interrupt);
  trainer.trace_steps(options.trace_steps);
  const RunResult result = trainer.run();
  rank.memory.mark("libraries");  // cuBLASLt and cuDNN load and reserve what they need when they are first called
  const size_t planned = plan_memory(*model, config).total();
  own.phase("after the run");
  if (rank.memory.measures()) own.say(rank.memory.text(planned));
  own.say(fmt::format("{} steps, {} samples, last evaluation loss {:.6f}", result.steps, result.samples,
                      result.evaluation_loss));
  if (watch) own.say(watch->summary());
  if (!rank.first) return exit_code_of(result, true);

  save_checkpoint(executor, config, workload);  // after the clock has stopped
  const Verdict verdict = judge(log->path(), benchmark);
  if (options.json) {
    Json outcome = outcome_json(config, result, verdict, log->path());
    outcome["utilization"] = utilization.json(tokens_per_second(config, result));
    outcome["device_memory"] = rank.memory.json(planned);
    outcome["device_watch"] = watch ? Json(watch->summary()) : Json(nullptr);
    fmt::print("{}\n", outcome.dump(2));
  } else {
    if (!benchmark) fmt::print("{}\n", time_per_step(result));
    if (rank.device.kind == DeviceKind::cuda) fmt::print("{}\n", utilization.text(tokens_per_second(config, result)));
    if (rank.memory.measures()) fmt::print("{}\n", rank.memory.text(planned));
    if (watch) fmt::print("{}\n", watch->summary());
    fmt::print("{}\n", outcome_text(config, result, verdict, log->path()));
  }
  return exit_code_of(result, verdict.passed);
}

}  // namespace

int train(const RunConfig& config, const Workload& workload, const RunOptions& options,
          const std::atomic<int>& interrupt) {
  require_trainable(config.parallel);
  return on_every_rank(config, options.environment, options.processes,
                       logged([&](comm::Bootstrap& bootstrap, RankLog& own) {
                         return train_rank(config, workload, options, interrupt, bootstrap, own);
                       }));
}

}  // namespace timetrial::apps
