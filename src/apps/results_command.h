// `timetrial results import|list`: published rounds as a table.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// Adds the subcommands. When one runs, exit_code becomes 0 (done), 1 (imported,
// but something had to be left out or named; or nothing matches a list) or
// stays; UserError from the parsing for what cannot be used. `exit_code` must
// outlive it.
void add_results_command(CLI::App& app, int& exit_code);

}  // namespace timetrial::apps
