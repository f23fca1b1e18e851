// read_log: the records of an MLPerf log, from files as they come out of real clusters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
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
  std::string what;  // one clause: what is wrong with the record on this line
};

struct Log {
  std::vector<Record> records;  // in file order
  std::vector<BadLine> bad_lines;
  int64_t lines = 0;
  bool has_nul = false;  // a NUL byte somewhere: with no record at all, not a text file
};

// Reads in one pass and linear time, and reads what the official parser of ruleset 6.0.0 reads (rules digest 1.2): any
// text may stand before the token; of two records on a line the last counts; CR, LF and CRLF end lines; bytes that are
// no UTF-8 count as Latin-1; NaN, Infinity and numeric strings as time stamps are accepted; of duplicate fields the
// last counts. Lines without the token are skipped without being kept. A record that is no JSON object or lacks
// time_ms, key, value or metadata becomes a BadLine (the official parser crashes on most of these). Limits: numbers
// beyond the double range and unpaired surrogates ("\ud800") are BadLines here, not there; a record longer than 64 MiB
// is a BadLine. Throws DataError when the file is missing, unreadable or no regular file. Thread-safe.
Log read_log(const std::string& path);

}  // namespace timetrial::mllog
