// One line for a wrong command line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/command_line.h"

#include <fmt/core.h>

#include "apps/exit_code.h"

namespace timetrial::apps {

std::string one_line_failure(const CLI::App* app, const CLI::Error& error) {
  return fmt::format("timetrial: {}; see {} --help\n", one_line(error.what()), app->get_name());
}

}  // namespace timetrial::apps
