// Where an error was raised: file, line, host, rank.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/error.h"

#include <filesystem>

#include "timetrial/base/identity.h"

namespace timetrial {

Error::Error(const std::string& message, std::source_location location)
    : std::runtime_error(message), location_(location) {}

std::string Error::where() const {
  const std::string file = std::filesystem::path(location_.file_name()).filename().string();
  return fmt::format("{}:{} (host {}, rank {})", file, location_.line(), host_name(), thread_rank());
}

ConfigError::ConfigError(const std::string& path, const std::string& message, std::source_location location)
    : UserError(fmt::format("{}: {}", path, message), location), path_(path) {}

DataError::DataError(const std::string& file, const std::string& message, std::source_location location)
    : UserError(fmt::format("{}: {}", file, message), location) {}

}  // namespace timetrial
