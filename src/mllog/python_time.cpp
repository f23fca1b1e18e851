// float() of a JSON value.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/python_time.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "mllog/python_json.h"

namespace timetrial::mllog {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whole numbers that every double holds: nearly all time stamps.
std::optional<double> short_number(std::string_view text) {
  if (text.size() > 15) return std::nullopt;
  int64_t number = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return static_cast<double>(number);
}

// What str.strip() takes, as UTF-8.
constexpr std::string_view kBlanks[] = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
};

std::string_view stripped(std::string_view text) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view blank : kBlanks) {
      if (text.substr(0, blank.size()) == blank) {
        text.remove_prefix(blank.size());
        again = true;
      }
      if (text.size() >= blank.size() && text.substr(text.size() - blank.size()) == blank) {
        text.remove_suffix(blank.size());
        again = true;
      }
    }
  }
  return text;
}

std::optional<double> number_in(const std::string& raw) {
  std::string text;
  for (size_t i = 0; i < raw.size(); ++i) {
    const bool between = i > 0 && i + 1 < raw.size() && is_digit(raw[i - 1]) && is_digit(raw[i + 1]);
    if (raw[i] != '_' || !between) text += raw[i];
  }
  std::string_view number = stripped(text);
  if (number.empty()) return std::nullopt;
  if (number.front() == '+' && number.size() > 1 && number[1] != '-') number.remove_prefix(1);
  if (number.find('(') != std::string_view::npos) return std::nullopt;
  double result = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), result);
  if (end != number.data() + number.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(number).c_str(), nullptr);
  return error == std::errc() ? std::optional(result) : std::nullopt;
}

bool is_whole(std::string_view scanned) { return scanned.find_first_of(".eEIN") == std::string_view::npos; }

}  // namespace

TimeStamp time_of(std::string_view scanned) {
  if (const auto number = short_number(scanned)) return {number, false};
  const Json value = parse_scanned(scanned);
  if (value.is_boolean()) return {value.get<bool>() ? 1.0 : 0.0, false};
  if (value.is_string()) return {number_in(value.get_ref<const std::string&>()), false};
  if (!value.is_number()) return {std::nullopt, true};
  const double number = value.get<double>();
  // Python's integers have no end, but float() of one that is too large raises.
  if (std::isinf(number) && is_whole(scanned)) return {std::nullopt, true};
  return {number, false};
}

}  // namespace timetrial::mllog
