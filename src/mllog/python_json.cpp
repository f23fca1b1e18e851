// One recursive descent for both: with a value to fill it builds, without one it only checks.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/python_json.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "mllog/utf8.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

// Python 3.11 refuses to turn longer decimal texts into integers.
constexpr ptrdiff_t kMostDigits = 4300;

constexpr uint64_t repeated(unsigned char byte) { return byte * uint64_t{0x0101010101010101}; }

// The high bit of each byte of `word` that is zero; exact up to the first of them.
constexpr uint64_t zero_bytes(uint64_t word) { return (word - repeated(0x01)) & ~word & repeated(0x80); }

// First quote, backslash or control character in [at, end); `end` when there is none.
const char* string_stop(const char* at, const char* end) {
  if constexpr (std::endian::native == std::endian::little) {
    for (; end - at >= 8; at += 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      const uint64_t control = (word - repeated(0x20)) & ~word & repeated(0x80);
      const uint64_t stops = zero_bytes(word ^ repeated('"')) | zero_bytes(word ^ repeated('\\')) | control;
      if (stops != 0) return at + std::countr_zero(stops) / 8;
    }
  }
  while (at < end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Descent {
 public:
  explicit Descent(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool too_deep() const { return too_deep_; }
  const char* at() const { return at_; }

  void blanks() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }

  bool accept(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // Each of these stands on the first character of what it reads, and returns false where Python would raise. `out`
  // may be null.
  bool value(Json* out, int depth) {
    if (at_ == end_) return false;
    switch (*at_) {
      case '"':
        return string(out);
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case 't':
        return word("true", out, true);
      case 'f':
        return word("false", out, false);
      case 'n':
        return word("null", out, nullptr);
      case 'N':
        return word("NaN", out, std::numeric_limits<double>::quiet_NaN());
      case 'I':
        return word("Infinity", out, std::numeric_limits<double>::infinity());
      default:
        return number(out);
    }
  }

  // Calls `member(name)` for each name, quotes included, standing on its value; `member` reads the value.
  template <class Member>
  bool members(int depth, const Member& member) {
    if (depth > kDeepestNesting) return fail_deep();
    ++at_;
    blanks();
    if (accept('}')) return true;
    while (true) {
      if (at_ == end_ || *at_ != '"') return false;
      const char* const name = at_;
      if (!string(nullptr)) return false;
      const std::string_view quoted(name, static_cast<size_t>(at_ - name));
      blanks();
      if (!accept(':')) return false;
      blanks();
      if (!member(quoted)) return false;
      blanks();
      if (accept('}')) return true;
      if (!accept(',')) return false;
      blanks();
    }
  }

 private:
  bool fail_deep() {
    too_deep_ = true;
    return false;
  }

  template <class Value>
  bool word(std::string_view text, Json* out, Value meaning) {
    if (static_cast<size_t>(end_ - at_) < text.size() || std::memcmp(at_, text.data(), text.size()) != 0) return false;
    at_ += text.size();
    if (out != nullptr) *out = meaning;
    return true;
  }

  bool object(Json* out, int depth) {
    if (out != nullptr) *out = Json::object();
    return members(depth, [&](std::string_view quoted) {
      if (out == nullptr) return value(nullptr, depth + 1);
      const Json name = parse_scanned(quoted);
      return value(&(*out)[name.get_ref<const std::string&>()], depth + 1);
    });
  }

  bool array(Json* out, int depth) {
    if (depth > kDeepestNesting) return fail_deep();
    if (out != nullptr) *out = Json::array();
    ++at_;
    blanks();
    if (accept(']')) return true;
    while (true) {
      Json* element = nullptr;
      if (out != nullptr) element = &out->emplace_back();
      if (!value(element, depth + 1)) return false;
      blanks();
      if (accept(']')) return true;
      if (!accept(',')) return false;
      blanks();
    }
  }

  bool digits() {
    const char* const start = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    return at_ > start;
  }

  bool number(Json* out) {
    const char* const start = at_;
    if (accept('-') && at_ < end_ && *at_ == 'I')
      return word("Infinity", out, -std::numeric_limits<double>::infinity());
    const char* const first = at_;
    if (!accept('0') && !digits()) return false;
    const bool too_long = at_ - first > kMostDigits;
    const bool is_double = fraction();
    if (out != nullptr) build_number(*out, start, is_double);
    return is_double || !too_long;
  }

  // Takes what may follow a number's whole part, and says whether it was anything. A point or an "e" without digits
  // belongs to whatever comes next.
  bool fraction() {
    bool any = false;
    const char* const point = at_;
    if (accept('.')) {
      any = digits();
      if (!any) at_ = point;
    }
    const char* const exponent = at_;
    if (accept('e') || accept('E')) {
      if (!accept('-')) accept('+');
      if (digits()) {
        any = true;
      } else {
        at_ = exponent;
      }
    }
    return any;
  }

  void build_number(Json& out, const char* start, bool is_double) const {
    if (!is_double) {
      int64_t whole = 0;
      if (std::from_chars(start, at_, whole).ec == std::errc()) {
        out = whole;
        return;
      }
      uint64_t large = 0;
      if (std::from_chars(start, at_, large).ec == std::errc()) {
        out = large;
        return;
      }
    }
    double real = 0;
    // Only strtod says which way an out-of-range number goes.
    if (std::from_chars(start, at_, real).ec != std::errc())
      real = std::strtod(std::string(start, at_).c_str(), nullptr);
    out = real;
  }

  bool string(Json* out) {
    const char* const start = ++at_;
    bool escaped = false;
    while (true) {
      at_ = string_stop(at_, end_);
      if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20) return false;
      if (*at_ == '"') break;
      escaped = true;
      if (!skip_escape()) return false;
    }
    if (out != nullptr) *out = decoded({start, static_cast<size_t>(at_ - start)}, escaped);
    ++at_;
    return true;
  }

  bool skip_escape() {
    if (++at_ == end_) return false;
    const char kind = *at_++;
    if (kind != 'u') return std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos;
    for (int i = 0; i < 4; ++i, ++at_)
      if (at_ == end_ || hex_digit(*at_) < 0) return false;
    return true;
  }

  static uint32_t unit_at(std::string_view raw, size_t at) {
    uint32_t unit = 0;
    for (size_t i = at; i < at + 4; ++i) unit = unit * 16 + static_cast<uint32_t>(hex_digit(raw[i]));
    return unit;
  }

  static std::string decoded(std::string_view raw, bool escaped) {
    std::string text(raw);
    if (!is_utf8(text)) text = latin1_to_utf8(text);
    if (!escaped) return text;
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '\\') {
        out += text[at];
        continue;
      }
      const char kind = text[++at];
      if (kind != 'u') {
        constexpr std::string_view kKinds = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
        out += kMeanings[kKinds.find(kind)];
        continue;
      }
      uint32_t point = unit_at(text, at + 1);
      at += 4;
      if (point >= 0xD800 && point < 0xDC00 && text.compare(at + 1, 2, "\\u") == 0) {
        const uint32_t low = unit_at(text, at + 3);
        if (low >= 0xDC00 && low < 0xE000) {
          point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
          at += 6;
        }
      }
      append_utf8(out, point);
    }
    return out;
  }

  const char* at_;
  const char* end_;
  bool too_deep_ = false;
};

std::string_view* field_named(std::string_view quoted, RecordText& fields) {
  if (quoted.find('\\') != std::string_view::npos) {
    const std::string name = parse_scanned(quoted).get<std::string>();
    return name.find('"') == std::string::npos && name.find('\\') == std::string::npos
               ? field_named('"' + name + '"', fields)
               : nullptr;
  }
  if (quoted == "\"time_ms\"") return &fields.time_ms;
  if (quoted == "\"event_type\"") return &fields.event_type;
  if (quoted == "\"key\"") return &fields.key;
  if (quoted == "\"value\"") return &fields.value;
  if (quoted == "\"metadata\"") return &fields.metadata;
  return nullptr;
}

}  // namespace

ScanResult scan_record(std::string_view text, RecordText& fields) {
  fields = {};
  Descent descent(text);
  descent.blanks();
  const char first = descent.at() == text.data() + text.size() ? '\0' : *descent.at();
  bool good = false;
  if (first == '{') {
    good = descent.members(1, [&](std::string_view quoted) {
      const char* const start = descent.at();
      if (!descent.value(nullptr, 2)) return false;
      if (std::string_view* field = field_named(quoted, fields))
        *field = {start, static_cast<size_t>(descent.at() - start)};
      return true;
    });
  } else {
    good = descent.value(nullptr, 1);
  }
  if (descent.too_deep()) return ScanResult::too_deep;
  descent.blanks();
  if (!good || descent.at() != text.data() + text.size()) return ScanResult::not_json;
  return first == '{' ? ScanResult::object : first == 'n' ? ScanResult::null : ScanResult::other_value;
}

Json parse_scanned(std::string_view text) {
  Json out;
  Descent descent(text);
  TIMETRIAL_CHECK(descent.value(&out, 1) && descent.at() == text.data() + text.size(), "text that was not scanned");
  return out;
}

std::optional<std::string_view> plain_string(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::nullopt;
  const std::string_view inside = text.substr(1, text.size() - 2);
  for (const char c : inside)
    if (c == '\\' || static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
  return inside;
}

}  // namespace timetrial::mllog
