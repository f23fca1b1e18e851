// `timetrial checkpoint inspect|convert|verify`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace timetrial::apps {

// `exit_code` becomes 1 when a checkpoint that was verified is not sound.
void add_checkpoint_command(CLI::App& app, int& exit_code);

}  // namespace timetrial::apps
