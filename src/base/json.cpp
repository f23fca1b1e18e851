// JSON from files with line and column in errors; xxHash identity; nearest word for unknown keys.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/json.h"

#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

// Far deeper than any file of ours; what copies, prints and destroys a value recurses once per level.
constexpr int kDeepest = 200;

std::string place_of(std::string_view text, size_t at) {
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const size_t line_start = text.substr(0, at).rfind('\n') + 1;  // npos + 1 == 0 on the first line
  return fmt::format("line {}, column {}", line, at - line_start + 1);
}

void refuse_deep_nesting(std::string_view text, const std::string& origin) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    } else if (!quoted && (c == '[' || c == '{') && ++depth > kDeepest) {
      throw UserError(fmt::format("{}: nested more than {} levels deep at {}; is it the right file?", origin, kDeepest,
                                  place_of(text, i)));
    }
  }
}

// "[json.exception.out_of_range.406] number overflow parsing '1e999'" -> "1e999"
std::string number_named_in(std::string_view message) {
  constexpr size_t kLongest = 40;
  const size_t begin = message.find('\''), end = message.rfind('\'');
  if (begin == end) return "a number";
  const std::string_view number = message.substr(begin + 1, end - begin - 1);
  return number.size() <= kLongest ? std::string(number) : std::string(number.substr(0, kLongest)) + "...";
}

}  // namespace

Json parse_json(std::string_view text, const std::string& origin) {
  refuse_deep_nesting(text, origin);
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const size_t at = std::min(error.byte == 0 ? size_t{0} : error.byte - 1, text.size());
    throw UserError(fmt::format("{}: not valid JSON at {}", origin, place_of(text, at)));
  } catch (const Json::out_of_range& error) {
    throw UserError(fmt::format("{}: {} is too large for a number of 64 bits; write a smaller one", origin,
                                number_named_in(error.what())));
  }
}

Json read_json_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UserError(fmt::format("{}: cannot be read ({})", path, std::strerror(errno)));
  std::stringstream content;
  content << file.rdbuf();
  if (file.bad()) throw UserError(fmt::format("{}: cannot be read ({})", path, std::strerror(errno)));
  return parse_json(content.str(), path);
}

std::string hash_text(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace timetrial
