// Published and imported results as rows of a table: loading, filtering, sorting, and how old they are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

struct ResultRecord {
  std::string round, date,
      source;  // "v6.0"; day of publication, 2026-06-16, empty when unknown; where it was published
  std::string organization, system, benchmark, division, status, accelerator, precision;
  std::string form;  // of the workload, where the logs name one: results of different forms do not compare (spec 18.1)
  std::optional<double> accelerators, nodes, batch;
  std::optional<double> minutes;       // scaled, as published
  std::optional<double> samples;       // to the target, mean without fastest and slowest
  std::optional<double> step_s;        // seconds of a step, median
  std::vector<std::string> estimated;  // fields that nobody measured
  bool reviewed = false;               // published after MLCommons' review
  Json whole;                          // the record as it stands in the file

  bool is_estimated(const std::string& field) const;
};

struct LoadedRecords {
  std::vector<ResultRecord> records;
  std::vector<std::string> problems;  // "origin: record 3: ...": left out, or a field that was
};

// The results that the program brings along: workloads/*/published.json.
LoadedRecords shipped_records();

// A document of schema timetrial.results/1: `results import` writes such, workloads/*/published.json are such. A record
// without round, organization, system or benchmark is left out and named; a field of a wrong type is absent and named.
// Throws UserError for anything that is no such document.
LoadedRecords load_records(const Json& document, const std::string& origin);

struct RecordFilter {
  std::string benchmark, accelerator, organization, round,
      division;  // empty: any; accelerator: part of the name, any case; round: 5.1 is v5.1
  double least_accelerators = 0, most_accelerators = 1e18;
};

enum class RecordOrder { minutes, accelerators, organization, round, step };

// "8", "8..72", "72.." or "..72" into the filter's bounds. Throws UserError for anything else.
void set_count(RecordFilter& filter, const std::string& text);
// Throws UserError where the filter names a benchmark, organisation, round or division that no record has, and names
// those there are; either division is known.
void check_names(const RecordFilter& filter, const std::vector<ResultRecord>& records);
// Throws UserError naming the orders there are.
RecordOrder order_of(const std::string& text);

// Those that pass, sorted; what is absent comes last, ties keep the order of files.
std::vector<ResultRecord> select(const std::vector<ResultRecord>& records, const RecordFilter& filter,
                                 RecordOrder order);

// Whole days from one day to another, both as 2026-06-16; nothing if either is no such date.
std::optional<int64_t> days_between(const std::string& from, const std::string& to);
// Today in UTC, as 2026-06-16.
std::string today();

}  // namespace timetrial::results
