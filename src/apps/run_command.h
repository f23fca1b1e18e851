// `timetrial run`, `timetrial plan` and `timetrial profile`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// They hand the config to the worker program, which holds the engine; they return only for errors and --dry-run.
void add_run_command(CLI::App& app, int& exit_code);
void add_plan_command(CLI::App& app);
void add_profile_command(CLI::App& app);

}  // namespace timetrial::apps
