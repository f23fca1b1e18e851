// One evaluation with a log of its own.
// SPDX-License-Identifier: Apache-2.0
#include "apps/evaluate_run.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/compute_device.h"
#include "apps/exit_code.h"
#include "apps/preflight.h"
#include "apps/rank_setup.h"
#include "timetrial/base/clock.h"
#include "timetrial/train/trainer.h"

namespace timetrial::apps {

namespace {

// The log of an evaluation alone has no training in it, says so, and never claims success.
int evaluate_rank(const RunConfig& asked, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt, comm::Bootstrap& bootstrap, RankLog& own) {
  Rank rank = prepare(asked, workload, options, bootstrap, own);
  const RunConfig& config = rank.config;
  const std::unique_ptr<RunLog> log = start_log(rank, options, bootstrap, own);
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
    return 128 + agreed_signal(executor, interrupt);
  }
  const double loss = *mean;
  const double seconds = monotonic_seconds() - started;
  log->evaluation_result({.step = 0, .samples = 0, .loss = loss, .seconds = seconds});
  log->evaluation_stop(0);
  log->run_stop("aborted", 0);
  const int code = std::isfinite(loss) ? kSuccess : kFailedCheck;
  if (!rank.first) return code;
  if (options.json) {
    fmt::print("{}\n", Json{{"schema", "timetrial.evaluation/1"},
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

}  // namespace

int evaluate_only(const RunConfig& config, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt) {
  require_trainable(config.parallel);
  return on_every_rank(config, options.environment, options.processes,
                       logged([&](comm::Bootstrap& bootstrap, RankLog& own) {
                         return evaluate_rank(config, workload, options, interrupt, bootstrap, own);
                       }));
}

}  // namespace timetrial::apps
