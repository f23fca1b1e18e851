// The program for people: every command. Links no engine; training happens in timetrial-worker.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/check_command.h"
#include "apps/checkpoint_command.h"
#include "apps/command_line.h"
#include "apps/data_command.h"
#include "apps/exit_code.h"
#include "apps/keys_command.h"
#include "apps/results_command.h"
#include "apps/run_command.h"
#include "apps/score_command.h"

int main(int argc, char** argv) {
  using namespace timetrial;
  return apps::guarded_main([&] {
    CLI::App app("timetrial: how long does a cluster take to train a model to a fixed quality?", "timetrial");
    app.set_version_flag("--version", TIMETRIAL_VERSION);
    app.failure_message(apps::one_line_failure);
    app.require_subcommand(1);
    int exit_code = apps::kSuccess;
    apps::add_run_command(app, exit_code);
    apps::add_plan_command(app);
    apps::add_profile_command(app);
    apps::add_check_command(app, exit_code);
    apps::add_score_command(app, exit_code);
    apps::add_results_command(app, exit_code);
    apps::add_data_command(app, exit_code);
    apps::add_checkpoint_command(app, exit_code);
    apps::add_keys_command(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? apps::kSuccess : apps::kUserError;
    }
    return exit_code;
  });
}
