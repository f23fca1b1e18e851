// read_log: cuts lines at the last token while they stream by, then parses each record as Python would.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include "timetrial/base/error.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {

namespace {

constexpr size_t kChunk = size_t{1} << 16;
constexpr size_t kLongestRecord = size_t{1} << 26;

// JSON strings that stand for the bare words while nlohmann's parser runs. The NUL keeps them apart from real text.
constexpr std::array<std::string_view, 3> kNonFinite = {"NaN", "-Infinity", "Infinity"};
constexpr std::string_view kMarker = "\\u0000non-finite ";
const std::string kDecodedMarker = std::string(1, '\0') + "non-finite ";

std::string quote_non_finite(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    size_t take = 1;
    if (inside) {
      if (c == '\\') take = std::min<size_t>(2, text.size() - at);
      if (c == '"') inside = false;
    } else if (c == '"') {
      inside = true;
    } else {
      for (const std::string_view word : kNonFinite) {
        if (text.substr(at, word.size()) != word) continue;
        const size_t next = text.find_first_not_of(" \t", at + word.size());
        if (next != std::string_view::npos && text[next] == ':') break;  // a field's name must be quoted
        ((out += '"') += kMarker).append(word) += '"';
        at += word.size();
        take = 0;
        break;
      }
    }
    out += text.substr(at, take);
    at += take;
  }
  return out;
}

void restore_non_finite(Json& value) {
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    if (text.rfind(kDecodedMarker, 0) != 0) return;
    const std::string word = text.substr(kDecodedMarker.size());
    constexpr double infinity = std::numeric_limits<double>::infinity();
    value = word == "NaN" ? std::numeric_limits<double>::quiet_NaN() : word == "Infinity" ? infinity : -infinity;
  } else if (value.is_structured()) {
    for (Json& member : value) restore_non_finite(member);
  }
}

std::string latin1_to_utf8(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0 | (byte >> 6));
      out += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out;
}

Json parse_object(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos || text[first] != '{') return Json();
  // nlohmann's parser takes a NUL for the end of the text; JSON has no place for one.
  if (text.find('\0') != std::string_view::npos) return Json(Json::value_t::discarded);
  const bool non_finite = text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos;
  const std::string quoted = non_finite ? quote_non_finite(text) : std::string(text);
  Json object = Json::parse(quoted, nullptr, false);
  if (object.is_discarded()) object = Json::parse(latin1_to_utf8(quoted), nullptr, false);
  if (non_finite && !object.is_discarded()) restore_non_finite(object);
  return object;
}

// Python's float(): numbers, booleans, and text with blanks around and single underscores between digits.
std::optional<double> time_of(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string& raw = value.get_ref<const std::string&>();
  std::string text;
  for (size_t i = 0; i < raw.size(); ++i) {
    const auto digit = [&](size_t at) { return at < raw.size() && std::isdigit(static_cast<unsigned char>(raw[at])); };
    if (raw[i] == '_' && i > 0 && digit(i - 1) && digit(i + 1)) continue;
    text += raw[i];
  }
  constexpr std::string_view kBlank = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return std::nullopt;
  std::string_view number = std::string_view(text).substr(begin, text.find_last_not_of(kBlank) - begin + 1);
  if (number.front() == '+' && number.size() > 1 && number[1] != '-') number.remove_prefix(1);
  if (number.find('(') != std::string_view::npos) return std::nullopt;
  double result = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), result);
  if (end != number.data() + number.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(number).c_str(), nullptr);
  return error == std::errc() ? std::optional(result) : std::nullopt;
}

std::string_view strip_right(std::string_view text) {
  // Python's str.strip() also takes the separators 1C..1F, NEL and the no-break space of Latin-1.
  constexpr std::string_view kBlank = " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0";
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// Builds the log from the text between line ends, keeping of each line only what follows its last token.
class Collector {
 public:
  explicit Collector(Log& log) : log_(log) {}

  void add(std::string_view chunk) {
    log_.has_nul = log_.has_nul || chunk.find('\0') != std::string_view::npos;
    while (!chunk.empty()) {
      const size_t end = chunk.find_first_of("\r\n");
      extend(chunk.substr(0, end));
      if (end == std::string_view::npos) return;
      finish(false);
      if (chunk[end] == '\n') ++line_;
      chunk.remove_prefix(end + 1);
    }
  }

  void end() {
    any_in_line_ = any_in_line_ || !kept_.empty();
    finish(true);
    log_.lines = line_ - 1 + (any_in_line_ ? 1 : 0);
  }

 private:
  void extend(std::string_view text) {
    if (text.empty()) return;
    any_in_line_ = true;
    const size_t overlap = std::min(kept_.size(), kToken.size() - 1);
    const size_t from = kept_.size() - overlap;
    if (too_long_ && text.find(kToken) == std::string_view::npos) return;
    kept_ += text;
    const size_t at = std::string_view(kept_).substr(from).rfind(kToken);
    if (at != std::string_view::npos) {
      kept_.erase(0, from + at);
      has_token_ = true;
      too_long_ = false;
    } else if (!has_token_ && kept_.size() > kChunk) {
      kept_.erase(0, kept_.size() - (kToken.size() - 1));
    } else if (has_token_ && kept_.size() > kLongestRecord) {
      too_long_ = true;
      kept_.resize(kToken.size());
    }
  }

  void finish(bool at_end_of_file) {
    if (has_token_) parse(at_end_of_file);
    if (!at_end_of_file) any_in_line_ = false;
    kept_.clear();
    has_token_ = too_long_ = false;
  }

  void bad(std::string what) { log_.bad_lines.push_back({line_, std::move(what)}); }

  void parse(bool at_end_of_file) {
    if (too_long_) return bad(fmt::format("the record is longer than {} MiB", kLongestRecord >> 20));
    std::string_view text = strip_right(kept_);
    if (text.size() < kToken.size()) return bad("nothing follows the token");
    text.remove_prefix(kToken.size());
    Json object = parse_object(text);
    if (object.is_discarded())
      return bad(at_end_of_file ? "the file ends inside this record" : "the record is not valid JSON");
    if (!object.is_object()) return bad("what follows the token is no JSON object");
    for (const char* name : {"time_ms", "key", "value", "metadata"})
      if (!object.contains(name)) return bad(fmt::format("the record lacks \"{}\"", name));
    const std::optional<double> time = time_of(object["time_ms"]);
    if (!time) return bad(fmt::format("time_ms is no number: {}", object["time_ms"].dump()));
    Record record;
    record.line = line_;
    record.time_ms = *time;
    const auto text_of = [](const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); };
    if (object.contains("event_type")) record.event_type = text_of(object["event_type"]);
    // A key that is no string is unknown to every rule; its JSON text is none's name either.
    record.key = text_of(object["key"]);
    record.value = std::move(object["value"]);
    record.metadata = std::move(object["metadata"]);
    log_.records.push_back(std::move(record));
  }

  Log& log_;
  int64_t line_ = 1;
  std::string kept_;
  bool has_token_ = false, too_long_ = false, any_in_line_ = false;
};

struct File {
  int descriptor;
  explicit File(int opened) : descriptor(opened) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

}  // namespace

Log read_log(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.descriptor < 0) throw DataError(path, fmt::format("cannot be read ({})", std::strerror(errno)));
  struct stat facts {};
  if (::fstat(file.descriptor, &facts) != 0)
    throw DataError(path, fmt::format("cannot be read ({})", std::strerror(errno)));
  if (S_ISDIR(facts.st_mode)) throw DataError(path, "is a folder; name the log file in it, e.g. result_0.txt");
  if (!S_ISREG(facts.st_mode)) throw DataError(path, "is no regular file; copy the log into one");

  Log log;
  Collector collector(log);
  const auto buffer = std::make_unique<char[]>(kChunk);
  while (true) {
    const ssize_t count = ::read(file.descriptor, buffer.get(), kChunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw DataError(path, fmt::format("cannot be read ({})", std::strerror(errno)));
    if (count == 0) break;
    collector.add({buffer.get(), static_cast<size_t>(count)});
  }
  collector.end();
  return log;
}

}  // namespace timetrial::mllog
