// The program on every rank. Started by `timetrial run`, or directly by mpirun and srun.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/command_line.h"
#include "apps/exit_code.h"
#include "apps/interrupt_watch.h"
#include "apps/worker_run.h"

int main(int argc, char** argv) {
  using namespace timetrial;
  return apps::guarded_main([&] {
    apps::WorkerArguments arguments;
    CLI::App app("timetrial-worker: one rank of a training run; users start it with `timetrial run`",
                 "timetrial-worker");
    app.set_version_flag("--version", TIMETRIAL_VERSION);
    app.failure_message(apps::one_line_failure);
    app.add_option("CONFIG", arguments.config, "the run's JSON file")->required();
    app.add_option("--set", arguments.overrides, "override one key")->type_name("KEY=VALUE")->allow_extra_args(false);
    app.add_option("--ranks", arguments.ranks, "ranks in all")->check(CLI::Range(int64_t{1}, int64_t{1000000}));
    app.add_flag("--plan", arguments.plan, "print the plan and stop");
    app.add_flag("--rank-map", arguments.rank_map, "print where every rank stands")->needs("--plan");
    app.add_flag("--start-facts", arguments.start_facts, "print what a launcher must know of the run and stop")
        ->group("");
    app.add_option("--profile", arguments.profile, "profile this many steps instead of training")
        ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
    app.add_flag("--json", arguments.json, "print the plan or the outcome as JSON");
    app.add_flag("--eval-only", arguments.evaluate_only, "evaluate a checkpoint, train nothing");
    app.add_option("--metrics", arguments.metrics, "write one JSON line per step into this new file")
        ->type_name("FILE");
    app.add_option("--trace-steps", arguments.trace_steps, "bracket this many steps for an outside profiler")
        ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
    app.add_option("--verify-checkpoint", arguments.verify_checkpoint, "hold a checkpoint against the run's model")
        ->type_name("DIR");
    auto* clear =
        app.add_flag("--clear-caches", arguments.clear_caches, "drop file caches before the run (needs root)");
    app.add_flag("--caches-cleared", arguments.caches_cleared, "log that file caches were dropped on every host")
        ->excludes(clear);
    app.add_option("--command", arguments.command, "line to print below the plan")->needs("--plan")->group("");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? apps::kSuccess : apps::kUserError;
    }
    const apps::InterruptWatch interrupts;
    return apps::run_worker(arguments, interrupts.signal());
  });
}
