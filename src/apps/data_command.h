// `timetrial data prepare` and `timetrial data inspect`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// Adds `data` with its two subcommands; their callbacks throw UserError and DataError, and leave 0 in exit_code.
void add_data_command(CLI::App& app, int& exit_code);

}  // namespace timetrial::apps
