// `timetrial check LOG...`: judge logs by the MLPerf rules.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// Adds the subcommand. When it runs, exit_code becomes 0 (every log passes), 1 (a log fails or is unfinished) or 2 (a
// log cannot be used); the worst log counts. `exit_code` must outlive the parsing of `app`. An unknown ruleset throws
// UserError from the parsing.
void add_check_command(CLI::App& app, int& exit_code);

}  // namespace timetrial::apps
