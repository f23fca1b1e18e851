// Seeds as Python's int() reads them, and which of them stand in more than one place.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/seeds.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>

#include "results/names.h"

namespace timetrial::results {

namespace {

constexpr size_t kMostDigits = 4300;  // of a text that int() takes

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// int() of a text: blanks around it, a sign, digits with single underscores between them.
std::optional<std::string> integer_of(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return std::nullopt;
  text = text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  std::string digits;
  bool underscore = true;  // none may come first
  for (const char c : text) {
    if (c == '_' ? underscore : !is_digit(c)) return std::nullopt;
    underscore = c == '_';
    if (!underscore) digits += c;
  }
  if (underscore || digits.size() > kMostDigits) return std::nullopt;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return (negative && digits != "0" ? "-" : "") + digits;
}

// Decimal digits of what int() makes of the value; nothing where it refuses.
std::optional<std::string> integer_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (value.is_number_integer()) return value.dump();
  if (value.is_string()) return integer_of(std::string_view(value.get_ref<const std::string&>()));
  if (!value.is_number_float() || !std::isfinite(value.get<double>())) return std::nullopt;
  const double whole = std::trunc(value.get<double>());
  return fmt::format("{:.0f}", whole == 0 ? 0.0 : whole);
}

// A text that is the same for two values just when Python's dictionaries take them for the same key; nothing for what
// can be no key. NaN is like itself, because Python's parser gives one object for all of them.
std::optional<std::string> key_of(const Json& value) {
  if (value.is_structured()) return std::nullopt;
  if (value.is_string()) return "t" + value.get<std::string>();
  if (value.is_null()) return "none";
  if (const auto whole = integer_of(value); whole && (!value.is_number_float() || std::stod(*whole) == value))
    return *whole;
  return fmt::format("{}", value.get<double>());
}

std::string shown(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace); }

struct Seed {
  std::string key, text;  // text: "5 (train.py:7)"
};

// The seeds of one log, or why the official checker refuses it.
std::vector<Seed> seeds_of(const SeedReading& reading, std::string& problem) {
  std::vector<Seed> seeds;
  if (!reading.trouble.empty()) {
    problem = fmt::format("its seeds do not count, because a record cannot be read ({})", reading.trouble);
    return {};
  }
  if (reading.records.empty()) problem = "logs no seed";
  for (const SeedRecord& record : reading.records) {
    const std::optional<std::string> value = integer_of(record.value);
    if (!value) {
      problem = fmt::format("seed {} on line {} is no integer", shown(record.value), record.line);
      return {};
    }
    const auto place = [&](const char* name) {
      const bool there = record.metadata.is_object() && record.metadata.contains(name);
      return there ? key_of(record.metadata[name]) : std::nullopt;
    };
    const std::optional<std::string> file = place("file"), line = place("lineno");
    if (!file || !line) {
      problem = fmt::format(
          "seed {} on line {} does not say where it was logged (metadata.file and metadata.lineno), by which seeds are "
          "told apart",
          *value, record.line);
      return {};
    }
    const Json &file_value = record.metadata["file"], &line_value = record.metadata["lineno"];
    const std::string where = file_value.is_string() ? file_value.get<std::string>() : shown(file_value);
    seeds.push_back(
        {fmt::format("{}\n{}\n{}", *value, *line, *file), fmt::format("{} ({}:{})", *value, where, shown(line_value))});
  }
  return seeds;
}

}  // namespace

SeedVerdict judge_seeds(const std::vector<SeedReading>& readings, const std::vector<std::string>& names_of_logs) {
  SeedVerdict verdict;
  struct Places {
    std::string text;
    std::vector<std::string> logs;  // each once
    int64_t records = 0;
  };
  std::map<std::string, Places> places;
  for (size_t i = 0; i < readings.size(); ++i) {
    const std::string& name = names_of_logs[i];
    std::string problem;
    const std::vector<Seed> seeds = seeds_of(readings[i], problem);
    if (!problem.empty()) verdict.problems.push_back(fmt::format("{}: {}", name, problem));
    if (seeds.size() > 1) verdict.notes.push_back(fmt::format("{} logs {} seeds; one is enough", name, seeds.size()));
    for (const Seed& seed : seeds) {
      Places& place = places[seed.key];
      place.text = seed.text;
      ++place.records;
      if (place.logs.empty() || place.logs.back() != name) place.logs.push_back(name);
    }
  }
  for (const auto& [key, place] : places) {
    if (place.logs.size() > 1)
      verdict.problems.push_back(
          fmt::format("every run has a seed of its own, and seed {} is that of {}", place.text, names(place.logs)));
    else if (place.records > 1)
      verdict.problems.push_back(fmt::format("{} logs seed {} {} times; log it from one rank only", place.logs.front(),
                                             place.text, place.records));
  }
  return verdict;
}

}  // namespace timetrial::results
