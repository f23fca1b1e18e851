// One local rank: this process turns into the worker, so signals and the exit code need no passing on.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/worker_process.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "launch/exec.h"
#include "timetrial/base/error.h"
#include "timetrial/launch/build_identity.h"

namespace timetrial::launch {

namespace {

// Idle threads of libgomp go to sleep after microseconds instead of milliseconds: on a machine that does other things
// too, a run was 2 to 3 times as fast for it, on a quiet one equally fast (docs/results/2026-11-21-idle-threads.md).
constexpr const char* kSpinCount = "2000";

// Two builds need not understand each other, and where they do they may count differently. A program that names no
// build, a test's, takes any worker.
void refuse_other_build(const std::string& self, const std::string& worker) {
  const std::string mine = build_of("/proc/self/exe").value_or("");
  if (mine.empty() || build_of(worker).value_or(mine) == mine) return;
  throw UserError(
      fmt::format("{} is of another build than {}: build both targets, timetrial and timetrial-worker, or install both "
                  "programs of one build",
                  worker, self));
}

}  // namespace

std::string worker_path() {
  std::error_code failure;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) throw UserError("cannot tell where this program lies (/proc/self/exe is not readable)");
  const std::filesystem::path worker = self.parent_path() / "timetrial-worker";
  if (!std::filesystem::exists(worker))
    throw UserError(fmt::format(
        "{} is missing: build the target timetrial-worker or install both programs into one folder", worker.string()));
  refuse_other_build(self.string(), worker.string());
  return worker.string();
}

std::string shell_line(const std::vector<std::string>& arguments) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_@%+=:,./-", c) != nullptr; };
  std::string line;
  for (const std::string& argument : arguments) {
    if (!line.empty()) line += ' ';
    if (!argument.empty() && std::all_of(argument.begin(), argument.end(), plain)) {
      line += argument;
      continue;
    }
    line += '\'';
    for (char c : argument) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

std::string command_line(const std::vector<std::string>& arguments) {
  return fmt::format("GOMP_SPINCOUNT=\"${{GOMP_SPINCOUNT:-{}}}\" {}", kSpinCount, shell_line(arguments));
}

void default_spin_count() { setenv("GOMP_SPINCOUNT", kSpinCount, /*overwrite=*/0); }

void become(const std::vector<std::string>& arguments) {
  default_spin_count();
  execv(arguments[0].c_str(), pointers_to(arguments).data());
  throw cannot_start(arguments[0], errno);
}

}  // namespace timetrial::launch
