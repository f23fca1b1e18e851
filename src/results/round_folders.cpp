// Three levels down, with a word for everything that is not as it should be.
// SPDX-License-Identifier: Apache-2.0
#include "results/round_folders.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "results/folder.h"
#include "timetrial/base/error.h"

namespace timetrial::results {

namespace fs = std::filesystem;

namespace {

class Walk {
 public:
  explicit Walk(const std::vector<std::string>& benchmarks) : benchmarks_(benchmarks) {}

  void organization(const fs::path& path, const std::string& name) {
    for (const fs::path& system : folders_in(path / "results")) {
      const std::string system_name = system.filename().string();
      const fs::path description = path / "systems" / (system_name + ".json");
      const SystemFacts facts = read_system_facts(description.string());
      const size_t before = found.folders.size();
      for (const fs::path& benchmark : folders_in(system)) add(benchmark, name, system_name, facts);
      if (found.folders.size() > before)
        for (const std::string& problem : facts.problems) complain(description, problem);
    }
  }

  // Folders in a folder, by name; hidden ones are nobody's results. Files beside them are not looked at.
  std::vector<fs::path> folders_in(const fs::path& path) {
    std::vector<fs::path> folders;
    std::error_code error;
    fs::directory_iterator entries(path, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      const fs::path entry = entries->path();
      if (entry.filename().string().front() == '.') continue;
      std::error_code broken;
      const bool folder = fs::is_directory(entry, broken);
      if (folder) folders.push_back(entry);
      if (broken && broken != std::errc::no_such_file_or_directory) complain(entry, broken.message());
      if (!folder && fs::is_symlink(fs::symlink_status(entry, broken)) && !fs::exists(entry, broken) && !broken)
        complain(entry, "is a link to nothing");
    }
    if (error) complain(path, fmt::format("cannot be listed ({})", error.message()));
    std::sort(folders.begin(), folders.end());
    return folders;
  }

  RoundFolders found;

 private:
  void complain(const fs::path& path, const std::string& what) { found.problems.push_back({path.string(), what}); }

  void add(const fs::path& path, const std::string& organization, const std::string& system, const SystemFacts& facts) {
    const std::string benchmark = path.filename().string();
    if (std::find(benchmarks_.begin(), benchmarks_.end(), benchmark) == benchmarks_.end())
      return complain(path, fmt::format("'{}' is no benchmark of this ruleset ({}); not read", benchmark,
                                        fmt::join(benchmarks_, ", ")));
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) return complain(path, error.message());
    if (!seen_.insert(real).second) return complain(path, "leads to a folder that was read already; read once");
    RoundFolder folder{path.string(), organization, system, benchmark, facts, 0};
    try {
      const std::vector<std::string> files = result_files(folder.path);
      if (files.empty()) return complain(path, "holds no file result_*.txt");
      for (const std::string& file : files) {
        const auto size = fs::file_size(path / file, error);
        if (!error) folder.bytes += static_cast<int64_t>(size);
      }
      found.logs += static_cast<int64_t>(files.size());
      found.bytes += folder.bytes;
    } catch (const DataError& unreadable) {
      return complain(path, unreadable.what());
    }
    found.folders.push_back(std::move(folder));
  }

  const std::vector<std::string>& benchmarks_;
  std::set<fs::path> seen_;
};

}  // namespace

RoundFolders find_round_folders(const std::string& folder, const std::vector<std::string>& benchmarks) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw DataError(folder, error ? fmt::format("cannot be read ({})", error.message()) : "is no folder");
  Walk walk(benchmarks);
  if (fs::is_directory(fs::path(folder) / "results", error)) {
    walk.organization(folder, last_part(folder));
    return std::move(walk.found);
  }
  bool any = false;
  for (const fs::path& organization : walk.folders_in(folder)) {
    if (!fs::is_directory(organization / "results", error)) {
      walk.found.problems.push_back({organization.string(), "has no folder results/; not read"});
      continue;
    }
    any = true;
    walk.organization(organization, organization.filename().string());
  }
  if (!any)
    throw DataError(folder,
                    "holds no <organisation>/results/<system>/<benchmark>/; name a checkout of a results repository");
  return std::move(walk.found);
}

std::string last_part(const std::string& folder) {
  std::error_code error;
  fs::path path = fs::absolute(folder, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

}  // namespace timetrial::results
