// `timetrial keys`: everything a config file can say.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// Adds the subcommand.
void add_keys_command(CLI::App& app);

}  // namespace timetrial::apps
