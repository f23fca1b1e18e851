// check_record: one check against one record, and what to say when it fails.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

#include "mllog/rule.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

// What the walk over a log knows before a record; one per rule file.
struct WalkState {
  std::map<std::string, Json> remembered;
  std::map<std::string, double> earliest;  // keys seen so far: their smallest time stamp, Unix milliseconds
};

struct Failure {
  std::string found, advice;
};

// Nothing when the check holds. What raises in Python fails here.
std::optional<Failure> check_record(const Check& check, const Record& record, const WalkState& state);

// `expression` with "value" for the record's value and the remembered numbers; nothing where Python would raise.
std::optional<Number> evaluate(const Expression& expression, const Record& record, const WalkState& state);

// A value for a message: JSON, cut after 80 characters.
std::string excerpt(const Json& value);

}  // namespace timetrial::mllog
