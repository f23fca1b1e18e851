// Config files: JSON in which no object may hold a key twice.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/config_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

// Follows the parser through objects and arrays; each open object remembers its keys, each level its latest one.
class DuplicateFinder {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        levels_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        levels_.pop_back();
        break;
      case Json::parse_event_t::key: {
        Level& level = levels_.back();
        level.latest = parsed.get<std::string>();
        if (!level.keys.insert(level.latest).second) throw ConfigError(path(), "this key is given twice; keep one");
        break;
      }
      case Json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  struct Level {
    std::set<std::string> keys;
    std::string latest;
  };

  std::string path() const {
    std::string text;
    for (const Level& level : levels_) {
      const std::string quoted = Json(level.latest).dump(-1, ' ', true);  // escapes line breaks
      text += fmt::format("/{}", std::string_view(quoted).substr(1, quoted.size() - 2));
    }
    return text;
  }

  std::vector<Level> levels_;
};

}  // namespace

Json parse_config_text(std::string_view text, const std::string& origin) {
  Json parsed = parse_json(text, origin);
  DuplicateFinder finder;
  Json::parse(text, std::ref(finder)).swap(parsed);
  if (!parsed.is_object()) throw UserError(fmt::format("{}: a config file must hold one JSON object, {{...}}", origin));
  return parsed;
}

Json read_config_file(const std::string& path) {
  if (std::filesystem::is_directory(path))
    throw UserError(fmt::format(
        "{}: is a folder, not a config file; name the JSON file, e.g. configs/small/gpt_oss_20b.json", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError(fmt::format("{}: cannot be read ({})", path, std::strerror(errno)));
  std::stringstream content;
  content << file.rdbuf();
  if (file.bad() || content.bad()) throw UserError(fmt::format("{}: cannot be read", path));
  return parse_config_text(content.str(), path);
}

std::string config_name(const std::string& path) { return std::filesystem::path(path).stem().string(); }

}  // namespace timetrial
