// scan_log: reads blocks, cuts lines, finds a record's fields, and builds values only for records somebody wants.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "mllog/json_text.h"
#include "mllog/line_cutter.h"
#include "mllog/python_json.h"
#include "mllog/python_time.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

constexpr size_t kBlock = size_t{1} << 18;

std::string_view strip_right(std::string_view text) {
  // Python's str.strip() also takes the separators 1C..1F, NEL and the no-break space of Latin-1.
  constexpr std::string_view kBlank = " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0";
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// A key as text; what is no string as its JSON text.
std::string text_of(std::string_view scanned) {
  const Json value = parse_scanned(scanned);
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

// From the text after a token to calls of the visitor.
class RecordReader {
 public:
  explicit RecordReader(LogVisitor& visitor) : visitor_(visitor) {}

  bool stopped() const { return stopped_; }

  void too_long(int64_t line) {
    bad(line, fmt::format("the record is longer than {} MiB", kLongestRecord >> 20), false);
  }

  // In the order in which the official parser looks, so that it is the same thing that both dislike first.
  void read(int64_t line, std::string_view text, bool complete) {
    if (stopped_) return;
    text = strip_right(text);
    if (text.empty()) return bad(line, "nothing follows the token", false);
    RecordText fields;
    switch (scan_record(text, fields)) {
      case ScanResult::object:
        break;
      case ScanResult::null:
        return bad(line, "what follows the token is no JSON object", false);
      case ScanResult::other_value:
        return bad(line, "what follows the token is no JSON object", true);
      case ScanResult::not_json:
        return bad(line, complete ? "the record is not valid JSON" : "the file ends inside this record", false);
      case ScanResult::too_deep:
        return bad(line, fmt::format("the record nests deeper than {} levels", kDeepestNesting), true);
    }
    if (fields.time_ms.empty()) return lacks(line, "time_ms");
    const TimeStamp time = time_of(fields.time_ms);
    if (!time.milliseconds)
      return bad(line, fmt::format("time_ms is no number: {}", text_excerpt(fields.time_ms)), time.official_dies);
    if (fields.key.empty()) return lacks(line, "key");
    if (fields.value.empty()) return lacks(line, "value");
    if (fields.metadata.empty()) return lacks(line, "metadata");

    RecordHeader header{line, *time.milliseconds, {}};
    if (const auto plain = plain_string(fields.key)) {
      header.key = *plain;
    } else {
      key_ = text_of(fields.key);
      header.key = key_;
    }
    switch (visitor_.header(header)) {
      case Interest::skip:
        return;
      case Interest::stop:
        stopped_ = true;
        return;
      case Interest::take:
        return visitor_.record(built(header, fields));
    }
  }

 private:
  static Record built(const RecordHeader& header, const RecordText& fields) {
    Record record;
    record.line = header.line;
    record.time_ms = header.time_ms;
    record.key = header.key;
    if (!fields.event_type.empty()) record.event_type = text_of(fields.event_type);
    record.value = parse_scanned(fields.value);
    record.metadata = parse_scanned(fields.metadata);
    return record;
  }

  static std::string text_excerpt(std::string_view scanned) {
    std::string text = json_text(parse_scanned(scanned));
    if (text.size() > kLongestExcerpt) text = text.substr(0, kLongestExcerpt) + "...";
    return text;
  }

  void lacks(int64_t line, const char* field) { bad(line, fmt::format("the record lacks \"{}\"", field), true); }
  void bad(int64_t line, std::string what, bool official_dies) {
    visitor_.bad_line({line, std::move(what), official_dies});
  }

  static constexpr size_t kLongestExcerpt = 80;
  LogVisitor& visitor_;
  std::string key_;
  bool stopped_ = false;
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

void keep_all(Log& log, const std::string& path) {
  struct Keeper : LogVisitor {
    explicit Keeper(Log& kept) : log(kept) {}
    Interest header(const RecordHeader&) override { return Interest::take; }
    void record(Record&& record) override { log.records.push_back(std::move(record)); }
    void bad_line(BadLine&& line) override { log.bad_lines.push_back(std::move(line)); }
    Log& log;
  };
  Keeper keeper(log);
  const LogFacts facts = scan_log(path, keeper);
  log.lines = facts.lines;
  log.has_nul = facts.has_nul;
}

}  // namespace

LogFacts scan_log(const std::string& path, LogVisitor& visitor) {
  // Without O_NONBLOCK a named pipe would make the caller wait.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto unreadable = [&] { return DataError(path, fmt::format("cannot be read ({})", std::strerror(errno))); };
  if (file.descriptor < 0) throw unreadable();
  struct stat facts {};
  if (::fstat(file.descriptor, &facts) != 0) throw unreadable();
  if (S_ISDIR(facts.st_mode)) throw DataError(path, "is a folder; name the log file in it, e.g. result_0.txt");
  if (!S_ISREG(facts.st_mode)) throw DataError(path, "is no regular file; copy the log into one");

  RecordReader reader(visitor);
  LineCutter cutter;
  const auto on_record = [&](int64_t line, std::string_view text, bool complete) { reader.read(line, text, complete); };
  const auto on_too_long = [&](int64_t line) { reader.too_long(line); };
  const auto block = std::make_unique<char[]>(kBlock);
  while (!reader.stopped()) {
    const ssize_t count = ::read(file.descriptor, block.get(), kBlock);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw unreadable();
    if (count == 0) break;
    cutter.add({block.get(), static_cast<size_t>(count)}, on_record, on_too_long);
  }
  if (!reader.stopped()) cutter.end(on_record, on_too_long);
  return {cutter.lines(), cutter.has_nul()};
}

Log read_log(const std::string& path) {
  Log log;
  keep_all(log, path);
  return log;
}

}  // namespace timetrial::mllog
