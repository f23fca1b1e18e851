// Validates what can be validated here, then becomes the worker.
// SPDX-License-Identifier: Apache-2.0
#include "apps/run_command.h"

#include <unistd.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/start_ranks.h"
#include "timetrial/base/error.h"
#include "timetrial/config/config_file.h"
#include "timetrial/config/environment.h"
#include "timetrial/launch/rank_processes.h"
#include "timetrial/launch/start_line.h"
#include "timetrial/launch/worker_process.h"

namespace timetrial::apps {

namespace {

struct RunArguments {
  std::string config;
  std::vector<std::string> overrides;
  bool dry_run = false, json = false, clear_caches = false, caches_cleared = false, evaluate_only = false;
  std::string checkpoint, division, metrics;
  int64_t ranks = 0;
  int64_t trace_steps = 0;
  launch::Launcher launcher = launch::Launcher::automatic;
  std::vector<std::string> launcher_options;
};

std::shared_ptr<RunArguments> add_common(CLI::App& command) {
  auto arguments = std::make_shared<RunArguments>();
  command.add_option("CONFIG", arguments->config, "the run's JSON file, e.g. configs/small/gpt_oss_20b.json")
      ->required();
  command.add_option("--set", arguments->overrides, "override one key, e.g. --set train.seed=7; may be given again")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--json", arguments->json, "print the outcome, or the plan, as JSON");
  command
      .add_option("--ranks", arguments->ranks,
                  "ranks in all; parallel.dp follows from it. On CPUs of one machine they are threads of one process")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  return arguments;
}

std::vector<std::string> worker_line(const RunArguments& arguments) {
  std::vector<std::string> line{launch::worker_path(), arguments.config};
  for (const std::string& text : arguments.overrides) line.insert(line.end(), {"--set", text});
  if (arguments.json) line.push_back("--json");
  if (arguments.ranks > 0) line.insert(line.end(), {"--ranks", std::to_string(arguments.ranks)});
  if (arguments.clear_caches) line.push_back("--clear-caches");
  if (arguments.caches_cleared) line.push_back("--caches-cleared");
  if (!arguments.checkpoint.empty()) line.insert(line.end(), {"--set", "data.checkpoint=" + arguments.checkpoint});
  if (!arguments.division.empty()) line.insert(line.end(), {"--set", "submission.division=" + arguments.division});
  if (arguments.evaluate_only) line.push_back("--eval-only");
  if (arguments.trace_steps > 0) line.insert(line.end(), {"--trace-steps", std::to_string(arguments.trace_steps)});
  if (!arguments.metrics.empty()) line.insert(line.end(), {"--metrics", arguments.metrics});
  return line;
}

bool asks_for_gpus(const RunArguments& arguments) {
  Overrides overrides;
  for (const std::string& text : arguments.overrides) overrides.push_back(split_override(text));
  return timetrial::asks_for_gpus(read_config_file(arguments.config), overrides);
}

// Asks the worker only where the answer decides something: it takes the time of starting it once.
Answer facts_of(const RunArguments& arguments, const std::vector<std::string>& worker) {
  const Environment environment = read_environment();
  const bool placed = environment.slurm || (environment.rank && environment.rank->size > 1);
  const bool automatic = arguments.launcher == launch::Launcher::automatic;
  if (arguments.launcher == launch::Launcher::mpirun || arguments.launcher == launch::Launcher::processes ||
      (automatic && !placed && asks_for_gpus(arguments)))
    return ask_worker(worker);
  return {};
}

// The line that starts the ranks, of which `worker` is each.
launch::StartLine start_of(const RunArguments& arguments, const std::vector<std::string>& worker,
                           const StartFacts& facts) {
  // Outside an allocation the plan says how many; in one, the job may.
  const bool asked = !facts.folder.empty();
  return launch::start_line({.launcher = arguments.launcher,
                             .ranks = asked ? facts.ranks : arguments.ranks,
                             .device = facts.device,
                             .environment = read_environment(),
                             .worker = worker,
                             .options = arguments.launcher_options,
                             .variables = launch::variables_for_ranks(environ)});
}

std::string text_of_start(const launch::StartLine& start, const StartFacts& facts) {
  switch (start.launcher) {
    case launch::Launcher::automatic:
    case launch::Launcher::here:
      return launch::command_line(start.arguments);
    case launch::Launcher::mpirun:
    case launch::Launcher::srun:
      return launch::text_of(start);
    case launch::Launcher::processes:
      return launch::text_of(launch::ProcessStart{.worker = start.arguments,
                                                  .ranks = static_cast<int>(facts.ranks),
                                                  .port = launch::ReservedPort().number(),
                                                  .run_id = launch::new_run_id(),
                                                  .folder = facts.folder});
  }
  throw Error("a launcher that does not exist");
}

// Returns only where this process stays beside its ranks.
int start(const launch::StartLine& line, const StartFacts& facts) {
  switch (line.launcher) {
    case launch::Launcher::automatic:
    case launch::Launcher::here:
      launch::become(line.arguments);
    case launch::Launcher::srun:
      launch::become(line);
    case launch::Launcher::mpirun:
    case launch::Launcher::processes:
      return start_and_stay(line, facts);
  }
  throw Error("a launcher that does not exist");
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("run", "train until the quality target is reached and write a checked MLPerf-format log");
  command->footer(
      "Examples:\n"
      "  timetrial run configs/small/gpt_oss_20b.json\n"
      "  timetrial run configs/small/gpt_oss_20b.json --set train.seed=7 --set output.folder=runs/seed7\n"
      "  timetrial run configs/small/gpt_oss_20b.json --dry-run      the plan and the exact command, nothing started\n"
      "  timetrial run configs/small/gpt_oss_20b.json --ranks 4 --launcher mpirun      four processes instead of "
      "threads\n"
      "  timetrial run configs/small/llama31_405b.json --eval-only --checkpoint DIR      the loss of a checkpoint\n"
      "Exit code: 0 target reached, 1 not reached or rules broken, 2 something to mend in the input, 3 the machine "
      "failed.\n"
      "All config keys: timetrial keys");
  auto arguments = add_common(*command);
  command->add_flag("--dry-run", arguments->dry_run,
                    "print the plan and the command that would be started, start nothing");
  auto* clear =
      command->add_flag("--clear-caches", arguments->clear_caches,
                        "drop the operating system's file caches before the run, as the rules ask (needs root)");
  command
      ->add_flag("--caches-cleared", arguments->caches_cleared,
                 "you have dropped the file caches of every host yourself: the log says so, nothing else happens")
      ->excludes(clear);
  command->add_option("--division", arguments->division, "the same as --set submission.division=...")
      ->type_name("closed|open");
  command->add_option("--checkpoint", arguments->checkpoint, "start from this folder of safetensors")->type_name("DIR");
  command->add_flag("--eval-only", arguments->evaluate_only,
                    "print and log the loss of --checkpoint over the evaluation set; train nothing");
  command
      ->add_option("--metrics", arguments->metrics,
                   "write one JSON line per step into this new file: loss, gradient norm, rate, tokens, seconds, "
                   "expert load")
      ->type_name("FILE");
  command
      ->add_option("--trace-steps", arguments->trace_steps,
                   "on CUDA: bracket this many steps for Nsight (nsys profile --capture-range=cudaProfilerApi); "
                   "see docs/cli/trace.md")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  const std::map<std::string, launch::Launcher> launchers{{"auto", launch::Launcher::automatic},
                                                          {"here", launch::Launcher::here},
                                                          {"mpirun", launch::Launcher::mpirun},
                                                          {"srun", launch::Launcher::srun},
                                                          {"processes", launch::Launcher::processes}};
  command
      ->add_option(
          "--launcher", arguments->launcher,
          "what starts the ranks; auto: srun inside a Slurm allocation; else processes (one for each GPU of this "
          "machine) where there are several GPU ranks; else here: this process alone, whose CPU ranks are threads")
      // The last one goes first, and says what there is in words; the type's name says it in the help.
      ->transform(CLI::Transformer(launchers).description(""))
      ->transform(CLI::IsMember(launchers).description(""))
      ->type_name("auto|here|mpirun|srun|processes");
  command
      ->add_option("--launcher-option", arguments->launcher_options,
                   "hand this on to mpirun or srun, e.g. --launcher-option=--hostfile --launcher-option=hosts")
      ->allow_extra_args(false)
      ->type_name("TEXT");
  command->callback([arguments, &exit_code] {
    const std::vector<std::string> worker = worker_line(*arguments);
    launch::default_spin_count();  // before the variables for ranks are looked up
    const auto [code, facts] = facts_of(*arguments, worker);
    exit_code = code;
    if (code != 0) return;
    const launch::StartLine line = start_of(*arguments, worker, facts);
    if (!arguments->dry_run) {
      exit_code = start(line, facts);
      return;
    }
    std::vector<std::string> plan = worker;
    plan.push_back("--plan");
    plan.insert(plan.end(), {"--command", text_of_start(line, facts)});
    launch::become(plan);
  });
}

void add_profile_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "profile", "train a few steps without a log and show where their time goes, beside what this machine can do");
  command->footer(
      "Examples:\n"
      "  timetrial profile configs/small/gpt_oss_20b.json\n"
      "  timetrial profile configs/small/gpt_oss_20b.json --steps 50 --set device.threads=1\n"
      "The ceilings are measured at the start: a large product, and the sum of two large arrays.");
  auto arguments = add_common(*command);
  auto steps = std::make_shared<int64_t>(20);
  command->add_option("--steps", *steps, "steps to look at, after three that are not counted")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}))
      ->capture_default_str();
  command->callback([arguments, steps] {
    std::vector<std::string> line = worker_line(*arguments);
    line.insert(line.end(), {"--profile", std::to_string(*steps)});
    launch::become(line);
  });
}

void add_plan_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "parameters, FLOPs, memory and batch arithmetic of a run, without running it");
  command->footer(
      "Examples:\n  timetrial plan configs/small/gpt_oss_20b.json --set variant=full\n"
      "  timetrial plan configs/small/llama31_405b.json --set variant=full --ranks 8192 --set parallel.tp=8 \\\n"
      "      --set parallel.pp=16 --set parallel.cp=2 --rank-map");
  auto arguments = add_common(*command);
  auto rank_map = std::make_shared<bool>(false);
  command->add_flag("--rank-map", *rank_map, "print where every rank stands (host, coordinates) and nothing else");
  command->callback([arguments, rank_map] {
    std::vector<std::string> line = worker_line(*arguments);
    line.push_back("--plan");
    if (*rank_map) line.push_back("--rank-map");
    launch::become(line);
  });
}

}  // namespace timetrial::apps
