// Reading MLPerf logs as they come out of real clusters: record by record, or a whole log at once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::mllog {

struct Record {
  int64_t line = 0;    // 1-based line of the file, counted by line feeds
  double time_ms = 0;  // Unix milliseconds; may be NaN or infinite when the log says so
  std::string event_type, key;
  Json value, metadata;  // metadata is an object in sound logs, and may be anything in others
};

struct BadLine {
  int64_t line = 0;
  std::string what;            // one clause: what is wrong with the record on this line
  bool official_dies = false;  // the official checker ends in an exception here instead of reporting the line
};

// What scan_log says about a record before it builds the value and the metadata.
struct RecordHeader {
  int64_t line = 0;
  double time_ms = 0;
  std::string_view key;  // valid during the call
};

enum class Interest { skip, take, stop };

class LogVisitor {
 public:
  virtual ~LogVisitor() = default;
  // Called for every readable record, in file order. take: record() follows; stop: the scan ends.
  virtual Interest header(const RecordHeader& header) = 0;
  virtual void record(Record&& record) = 0;
  virtual void bad_line(BadLine&& line) = 0;
};

struct LogFacts {
  int64_t lines = 0;
  bool has_nul = false;  // a NUL byte somewhere: with no record at all, not a text file
};

// Reads in one pass, in time linear in the length of the file and of each line, and in memory that does not grow with
// the file (the longest record counts). Reads what the official parser of rulesets 5.1.0 and 6.0.0 reads (rules digest
// 1.2): any text may stand before the token; of two records on a line the last counts; CR, LF and CRLF end lines; NaN,
// Infinity and numeric strings as time stamps are accepted; of duplicate fields the last counts. Text that is no UTF-8
// counts as Latin-1. Lines without the token are skipped. A record that is no JSON object, lacks time_ms, key, value or
// metadata, nests deeper than about 980 levels or is longer than 64 MiB becomes a BadLine. A key that is no string is
// given as its JSON text, which is no rule's name. Throws DataError when the file is missing, unreadable or no regular
// file. Thread-safe; what `visitor` throws passes through.
LogFacts scan_log(const std::string& path, LogVisitor& visitor);

struct Log {
  std::vector<Record> records;  // in file order
  std::vector<BadLine> bad_lines;
  int64_t lines = 0;
  bool has_nul = false;
};

// scan_log with everything kept: for logs of known size.
Log read_log(const std::string& path);

}  // namespace timetrial::mllog
