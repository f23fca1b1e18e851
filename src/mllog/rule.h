// Rules as values: what a rule file (rules/README.md) says, parsed and refused when it says anything unknown.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mllog/expression.h"
#include "timetrial/base/json.h"

namespace timetrial::mllog {

enum class CheckKind {
  present,
  non_empty,
  one_of,
  equals,
  above,
  at_least,
  below,
  at_most,
  whole_number,
  equals_expression,
  after,
  not_after,
  elapsed_below,
  metadata_any_of,
  metadata_if,
  metadata_number,
};

struct Check {
  CheckKind kind = CheckKind::present;
  Json operand;                           // one_of: the list; equals and bounds: the value; metadata_number: the bound
  std::vector<std::string> names;         // after, not_after: key; elapsed_below: key, number; metadata_*: fields
  CheckKind relation = CheckKind::above;  // metadata_number
  std::optional<Expression> expression, of;
  double tolerance = 0;  // equals_expression: 0 is exact
  bool target = false;   // the quality target, which a scaled variant may replace
  bool scaled = false;   // the operand is a scaled variant's, not the ruleset's
};

enum class OccurrenceKind { exactly_one, at_least, at_least_one_or, optional };

struct Occurrence {
  OccurrenceKind kind = OccurrenceKind::optional;
  int64_t count = 1;  // at_least
  std::string other;  // at_least_one_or
};

// What a record leaves behind for later checks: its value, an expression of it, or a choice by it.
struct Memory {
  std::string name;
  std::optional<Expression> expression;
  std::map<std::string, Json> by_value;
  std::optional<Json> otherwise;  // with by_value
};

// A check outside the verdict: what fails it becomes a remark.
struct RemarkRule {
  Check check;
  std::string rule, advice;  // in words
};

struct KeyRule {
  std::string key;
  Occurrence occurrence;
  std::vector<Check> checks;
  std::vector<Check> some_record;
  std::vector<Memory> remember;
  std::vector<RemarkRule> remarks;
  std::string then_rules;  // "closed_{}"; empty: none
};

struct RuleFile {
  std::string name, about;
  std::map<std::string, Json> starts_with;
  std::optional<double> evaluate_every_samples;
  std::optional<Expression> skip_evaluations;  // of global_batch_size: how many of the first evaluations are left out
  std::vector<KeyRule> keys;                   // each key once
};

struct Ruleset {
  std::string version;
  std::map<std::string, RuleFile> files;  // by name; "common" is applied first
};

// Throws Error: a rule file is part of the program.
RuleFile parse_rules(const Json& file);

// "equals 8192", "at most 3.34": the check in words, after "must be" or on its own.
std::string describe(const Check& check);

// One of known_rulesets(). Throws UserError naming the known ones.
Ruleset load_ruleset(std::string_view version);

// The benchmarks that a ruleset's logs may name.
std::vector<std::string> benchmarks_of(const Ruleset& ruleset);

// Whether the check looks at the record's value and can hold or fail with it, so that a variant may scale it.
bool limits_value(CheckKind kind);

}  // namespace timetrial::mllog
