// The walk through folders.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/log_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

namespace timetrial::mllog {

namespace {

namespace fs = std::filesystem;

bool is_log_name(const std::string& name) {
  constexpr std::string_view kStart = "result_", kEnd = ".txt";
  return name.size() > kStart.size() + kEnd.size() && name.rfind(kStart, 0) == 0 &&
         name.compare(name.size() - kEnd.size(), kEnd.size(), kEnd) == 0;
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Runs of digits compare by value.
bool natural_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  const auto number_end = [](const std::string& text, size_t at) {
    while (at < text.size() && is_digit(text[at])) ++at;
    return at;
  };
  const auto significant = [](const std::string& text, size_t at, size_t end) {
    while (at + 1 < end && text[at] == '0') ++at;
    return std::string_view(text).substr(at, end - at);
  };
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const size_t i_end = number_end(a, i), j_end = number_end(b, j);
      const std::string_view x = significant(a, i, i_end), y = significant(b, j, j_end);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      i = i_end;
      j = j_end;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i, ++j;
    }
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
  return a < b;  // 01 and 1
}

class Search {
 public:
  explicit Search(std::vector<FoundLog>& out) : out_(out) {}

  void folder(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) return problem(path, "cannot be read; mend the link, or the permissions");
    const Identity identity{facts.st_dev, facts.st_ino};
    if (std::find(above_.begin(), above_.end(), identity) != above_.end())
      return problem(path, "is a symbolic link back to a folder that it lies in; remove it");
    if (!visited_.insert(identity).second) return;
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) entries.push_back(*at);
    if (error) problem(path, fmt::format("cannot be read ({})", error.message()));
    std::sort(entries.begin(), entries.end(), [](const fs::directory_entry& a, const fs::directory_entry& b) {
      return natural_less(a.path().filename(), b.path().filename());
    });
    above_.push_back(identity);
    for (const fs::directory_entry& entry : entries) {
      std::error_code unknown;
      if (entry.is_directory(unknown)) {
        folder(entry.path());
      } else if (is_log_name(entry.path().filename())) {
        out_.push_back({entry.path(), {}});
      }
    }
    above_.pop_back();
  }

  void problem(const std::string& path, const std::string& what) { out_.push_back({path, what}); }

 private:
  using Identity = std::pair<dev_t, ino_t>;
  std::vector<FoundLog>& out_;
  std::vector<Identity> above_;
  std::set<Identity> visited_;
};

std::vector<FoundLog> logs_of(const std::string& argument) {
  std::error_code unknown;
  if (!fs::is_directory(argument, unknown)) return {{argument, {}}};
  std::vector<FoundLog> found;
  Search search(found);
  search.folder(argument);
  const auto is_log = [](const FoundLog& log) { return log.problem.empty(); };
  if (std::none_of(found.begin(), found.end(), is_log))
    search.problem(argument, "holds no log, no file result_<n>.txt in it or below; name the log itself");
  return found;
}

// As it stands where nothing is there.
std::string real_path(const std::string& path) {
  std::error_code missing;
  const fs::path real = fs::canonical(path, missing);
  return missing ? path : real.string();
}

}  // namespace

std::vector<FoundLog> find_logs(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1) return logs_of(arguments.front());  // of thousands of logs no real path is looked up
  std::vector<FoundLog> found;
  std::set<std::string> named;  // by the arguments so far
  for (const std::string& argument : arguments) {
    std::vector<FoundLog> more = logs_of(argument);
    std::erase_if(more, [&](const FoundLog& log) { return named.count(real_path(log.path)) == 1; });
    for (const FoundLog& log : more) named.insert(real_path(log.path));
    std::move(more.begin(), more.end(), std::back_inserter(found));
  }
  return found;
}

}  // namespace timetrial::mllog
