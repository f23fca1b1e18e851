// Errors: one base type that knows where it was raised, and user errors that end a program with one line and exit
// code 2. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/core.h>

#include <source_location>
#include <stdexcept>
#include <string>

namespace timetrial {

// Something went wrong inside the program or the machine. what() is one line; where() is for logs and bug reports.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, std::source_location location = std::source_location::current());
  // "file.cpp:123 (host node7, rank 3)"
  std::string where() const;

 private:
  std::source_location location_;
};

// The user can mend this: main prints what() alone and exits with code 2.
class UserError : public Error {
 public:
  // Written out, not inherited: nvcc 13.0 crashes on an inherited constructor with this default argument.
  explicit UserError(const std::string& message, std::source_location location = std::source_location::current())
      : Error(message, location) {}
};

// A value in a config file or on the command line. `path` is the JSON path, e.g. "/parallel/tp".
class ConfigError : public UserError {
 public:
  ConfigError(const std::string& path, const std::string& message,
              std::source_location location = std::source_location::current());
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A data file that is missing, truncated, foreign or inconsistent. `file` is named first in the message.
class DataError : public UserError {
 public:
  DataError(const std::string& file, const std::string& message,
            std::source_location location = std::source_location::current());
};

}  // namespace timetrial

// A condition that only a bug in this program can break. The message is a fmt format string with its arguments.
#define TIMETRIAL_CHECK(condition, ...)                                                                        \
  do {                                                                                                         \
    if (!(condition)) [[unlikely]]                                                                             \
      throw ::timetrial::Error(::fmt::format("check failed: {}: {}", #condition, ::fmt::format(__VA_ARGS__))); \
  } while (false)
