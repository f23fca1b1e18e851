// `timetrial score DIR...`: what the logs of a result folder are worth by the
// MLPerf rules. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// Adds the subcommand. When it runs, exit_code becomes 0 (every folder has a
// score the rules accept), 1 (one has not) or 2 (a folder cannot be used); the
// worst counts. `exit_code` must outlive the parsing of `app`.
void add_score_command(CLI::App& app, int& exit_code);

}  // namespace timetrial::apps
