// One line for a wrong command line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/command_line.h"

#include <fmt/ranges.h>

#include "apps/exit_code.h"
#include "timetrial/base/json.h"

namespace timetrial::apps {

std::string one_line_failure(const CLI::App* app, const CLI::Error& error) {
  std::string name = app->get_name();
  while (!app->get_subcommands().empty()) {  // those that were asked for
    app = app->get_subcommands().front();
    name += " " + app->get_name();
  }
  std::string what = one_line(error.what());
  const std::vector<std::string> unknown = app->remaining();
  if (app->get_require_subcommand_min() > 0 && !unknown.empty() && !unknown.front().starts_with('-')) {
    std::vector<std::string> commands;
    for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; }))
      commands.push_back(command->get_name());
    const std::string nearest = nearest_word(unknown.front(), commands);
    what = fmt::format("\"{}\" is no command of {}{}", unknown.front(), name,
                       nearest.empty() ? fmt::format("; there are {}", fmt::join(commands, ", "))
                                       : fmt::format(", did you mean \"{}\"?", nearest));
  }
  return fmt::format("timetrial: {}; see {} --help\n", what, name);
}

}  // namespace timetrial::apps
