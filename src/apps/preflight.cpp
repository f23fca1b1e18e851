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

void make_output_folder(const RunConfig& config) {
  const std::filesystem::path folder = config.output.folder, copy = folder / "effective_config.json";
  const auto refuse = [&](const std::string& why) {
    throw ConfigError("/output/folder", fmt::format("\"{}\" {}", folder.string(), why));
  };
  std::error_code failure;
  for (const std::filesystem::path& file : {folder / "result_0.txt", copy}) {
    if (std::filesystem::exists(file, failure))
      refuse(fmt::format("already holds a run ({}); give another folder, e.g. --set output.folder={}-2",
                         file.filename().string(), folder.string()));
  }
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
