// What both programs' command lines have in common.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace timetrial::apps {

// What a wrong command line prints: one line, like every other error. For CLI::App::failure_message.
std::string one_line_failure(const CLI::App* app, const CLI::Error& error);

}  // namespace timetrial::apps
