// `timetrial check` alone, so that agreement with the official checker can be tested without the training engine.
// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/check_command.h"
#include "apps/exit_code.h"

int main(int argc, char** argv) {
  using namespace timetrial;
  return apps::guarded_main([&] {
    CLI::App app("check_logs: the check command alone", "check_logs");
    app.require_subcommand(1);
    int exit_code = apps::kSuccess;
    apps::add_check_command(app, exit_code);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? apps::kSuccess : apps::kUserError;
    }
    return exit_code;
  });
}
