// Threads, file caches, the output folder.
// SPDX-License-Identifier: Apache-2.0
#include "apps/preflight.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial::apps {

std::optional<std::string> set_threads(const RunConfig& config, const Neighbours& neighbours) {
  const int cores = omp_get_num_procs();  // of this process's affinity mask, as launchers set it
  const int ranks = neighbours.ranks_on_cores;
  const int threads = config.device.threads > 0 ? config.device.threads : std::max(1, cores / ranks);
  omp_set_num_threads(threads);  // of the calling thread alone: ranks that are threads have numbers of their own
  if (threads * ranks <= cores) return std::nullopt;
  std::string warning =
      ranks == 1 ? fmt::format("device.threads is {}, but there are {} cores for this process: steps will be slow",
                               threads, cores)
                 : fmt::format("{} ranks of {} threads share {} cores: steps will be slow", ranks, threads, cores);
  if (neighbours.print) std::fputs(fmt::format("warning: {}\n", warning).c_str(), stderr);
  return warning;
}

void drop_file_caches() {
  sync();
  std::ofstream file("/proc/sys/vm/drop_caches");
  file << "3\n";
  file.flush();
  if (!file)
    throw UserError(
        fmt::format("--clear-caches: file caches cannot be dropped ({}); run as root", std::strerror(errno)));
}

namespace {

constexpr const char* kCopy = "effective_config.json";

[[noreturn]] void refuse_folder(const RunConfig& config, const std::string& why) {
  throw ConfigError("/output/folder", fmt::format("\"{}\" {}", config.output.folder, why));
}

}  // namespace

void refuse_used_folder(const RunConfig& config) {
  const std::filesystem::path folder = config.output.folder;
  std::error_code failure;
  for (const char* file : {"result_0.txt", kCopy}) {
    if (std::filesystem::exists(folder / file, failure))
      refuse_folder(config, fmt::format("already holds a run ({}); give another folder, e.g. --set output.folder={}-2",
                                        file, config.output.folder));
  }
}

void refuse_closed_folder(const RunConfig& config) {
  refuse_used_folder(config);
  std::error_code failure;
  std::filesystem::path there = std::filesystem::absolute(config.output.folder).lexically_normal();
  const bool exists = std::filesystem::exists(there, failure);
  while (!std::filesystem::exists(there, failure) && there.has_relative_path()) there = there.parent_path();
  const char* what = exists ? "written" : "made";
  if (!std::filesystem::is_directory(there, failure))
    refuse_folder(config, fmt::format("cannot be {} ({} is no folder); give a folder that can", what, there.string()));
  if (access(there.c_str(), W_OK | X_OK) != 0)
    refuse_folder(config, fmt::format("cannot be {} ({}: {}); give a folder that can", what, there.string(),
                                      std::strerror(errno)));
}

void make_output_folder(const RunConfig& config) {
  refuse_used_folder(config);
  const std::filesystem::path folder = config.output.folder, copy = folder / kCopy;
  const auto refuse = [&](const std::string& why) { refuse_folder(config, why); };
  std::error_code failure;
  const bool made = std::filesystem::create_directories(folder, failure);
  if (failure) refuse(fmt::format("cannot be made ({}); give a folder that can", failure.message()));
  errno = 0;
  std::ofstream file(copy);
  file << effective_json(config).dump(2) << '\n';
  file.close();
  if (file) return;
  const std::string why = std::strerror(errno);
  std::filesystem::remove(copy, failure);
  if (made) std::filesystem::remove(folder, failure);
  refuse(fmt::format("cannot be written ({}); give a folder that can", why));
}

}  // namespace timetrial::apps
