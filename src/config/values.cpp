// Type and range checks of single values.
// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include <fmt/ranges.h>

#include <cmath>
#include <string_view>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial::config {

namespace {

constexpr double kExactWhole = 9007199254740992.0;  // 2^53: every whole double up to here is exact

// A tool that scores a folder of logs searches each whole line for these, and a log's own line mark would cut a line.
constexpr std::string_view kReservedWords[] = {"global_batch_size", "eval_accuracy", "eval_error",
                                               "submission_benchmark", ":::MLLOG"};

void require_finite(double value, const std::string& path) {
  if (!std::isfinite(value)) throw ConfigError(path, fmt::format("{} is not a finite number", value));
}

[[noreturn]] void refuse_type(const Json& value, const std::string& wanted, const std::string& path) {
  throw ConfigError(path, fmt::format("{} is not {}", shown(value), wanted));
}

template <class Number>
void require_inside(Number value, Number low, Number high, const std::string& path) {
  if (value < low) throw ConfigError(path, fmt::format("{} is below {}, the smallest allowed", value, low));
  if (value > high) throw ConfigError(path, fmt::format("{} is above {}, the largest allowed", value, high));
}

}  // namespace

std::string text_of(const WholeRange& range) { return fmt::format("{} to {}", range.low, range.high); }

std::string text_of(const RealRange& range) {
  return fmt::format("{}{} to {}{}", range.low_open ? "above " : "", range.low, range.high_open ? "below " : "",
                     range.high);
}

int64_t read_whole(const Json& value, const WholeRange& range, const std::string& path) {
  const std::string wanted = fmt::format("a whole number ({})", text_of(range));
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(range.high)) {
    throw ConfigError(path, fmt::format("{} is above {}, the largest allowed", value.get<uint64_t>(), range.high));
  }
  int64_t number = 0;
  if (value.is_number_float()) {
    const auto real = value.get<double>();
    require_finite(real, path);
    if (real != std::floor(real)) refuse_type(value, wanted, path);
    if (std::abs(real) > kExactWhole) {
      require_inside(real, static_cast<double>(range.low), static_cast<double>(range.high), path);
      refuse_type(value, "exact; write all its digits", path);
    }
    number = static_cast<int64_t>(real);
  } else if (value.is_number_integer()) {
    number = value.get<int64_t>();
  } else {
    refuse_type(value, wanted, path);
  }
  require_inside(number, range.low, range.high, path);
  return number;
}

double read_real(const Json& value, const RealRange& range, const std::string& path) {
  if (!value.is_number()) refuse_type(value, fmt::format("a number ({})", text_of(range)), path);
  const auto number = value.get<double>();
  require_finite(number, path);
  require_inside(number, range.low, range.high, path);
  if (range.low_open && number == range.low)
    throw ConfigError(path, fmt::format("{} is not above {}; use {}", number, range.low, text_of(range)));
  if (range.high_open && number == range.high) {
    throw ConfigError(path, fmt::format("{} is not below {}; use {}", number, range.high, text_of(range)));
  }
  return number;
}

bool read_flag(const Json& value, const std::string& path) {
  if (!value.is_boolean()) refuse_type(value, "true or false", path);
  return value.get<bool>();
}

size_t read_choice(const Json& value, const std::vector<std::string>& names, const std::string& path) {
  const std::string wanted = fmt::format("one of {}", fmt::join(names, ", "));
  if (!value.is_string()) refuse_type(value, wanted, path);
  const auto& word = value.get_ref<const std::string&>();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == word) return i;
  }
  const std::string near = nearest_word(word, names);
  refuse_type(value, near.empty() ? wanted : fmt::format("{}; the nearest is {}", wanted, near), path);
}

std::string read_text(const Json& value, bool may_be_empty, const std::string& path) {
  if (!value.is_string()) refuse_type(value, "a text in quotes", path);
  auto text = value.get<std::string>();
  if (text.empty() && !may_be_empty) throw ConfigError(path, "is empty; give it a text");
  try {
    value.dump();
  } catch (const Json::type_error&) {
    throw ConfigError(path, fmt::format("{} is not UTF-8 text", shown(value)));
  }
  require_loggable(text, path);
  return text;
}

std::vector<std::string> read_texts(const Json& value, const std::string& path) {
  Json list = value;
  if (value.is_string() && value.get_ref<const std::string&>().starts_with('[')) {
    list = Json::parse(value.get_ref<const std::string&>(), nullptr, false);
    if (list.is_discarded()) refuse_type(value, "a list of texts, [\"a\", \"b\"]", path);
  }
  if (!list.is_array()) return {read_text(list, false, path)};
  if (list.empty()) throw ConfigError(path, "is an empty list; give it at least one text");
  std::vector<std::string> texts;
  for (size_t i = 0; i < list.size(); ++i) texts.push_back(read_text(list[i], false, fmt::format("{}/{}", path, i)));
  return texts;
}

std::vector<double> read_reals(const Json& value, const RealRange& range, const std::string& path) {
  if (!value.is_array()) refuse_type(value, "a list of numbers", path);
  std::vector<double> numbers;
  for (size_t i = 0; i < value.size(); ++i)
    numbers.push_back(read_real(value[i], range, fmt::format("{}/{}", path, i)));
  return numbers;
}

void require_loggable(const std::string& text, const std::string& path) {
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      throw ConfigError(path, fmt::format("{} holds a control character; remove it", shown(text)));
    }
  }
  for (const std::string_view word : kReservedWords) {
    if (text.find(word) != std::string::npos) {
      throw ConfigError(path, fmt::format("{} holds the word {}, which readers of result logs search for; use another "
                                          "text",
                                          shown(text), word));
    }
  }
}

std::string shown(const Json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

std::string shown_key(const std::string& key) {
  const std::string quoted = shown(key);
  return quoted.substr(1, quoted.size() - (quoted.back() == '"' ? 2 : 1));
}

}  // namespace timetrial::config
