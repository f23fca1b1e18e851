// Layers: values by key, laid over one another: benchmark.json's defaults, variant, form, the user's file, overrides.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "field.h"

namespace timetrial::config {

struct Value {
  Json json;
  std::string path;        // where it stands, for errors
  bool benchmark = false;  // from benchmark.json, where {"of": ...} derives a value from others
};
using Values = std::map<std::string, Value>;  // by dotted key

struct Names {
  std::string variant, form;
  bool operator==(const Names&) const = default;
};
inline constexpr char kCustom[] = "custom";

// What the user's file and overrides ask for. Throws ConfigError for unknown keys, keys given twice, values of an
// override that are not JSON.
Values asked_values(const std::vector<Field>& fields, const Json& user, const Overrides& overrides);

// Defaults for a variant and form, either of which may be "custom" and then adds nothing. Throws ConfigError for names
// that benchmark.json does not have.
Values default_values(const std::vector<Field>& fields, const Json& benchmark, const Names& names);

// `over` wins.
Values laid_over(Values under, const Values& over);

// Sets every field that has a value; derived ones last. Fields without a value keep RunConfig's own.
// A derived value that its field cannot hold: refused in a run, left out in what runs are compared with, where it only
// means that no run has it.
enum class Unfit { refuse, leave_out };
RunConfig build(const std::vector<Field>& fields, const Values& values, Unfit unfit = Unfit::refuse);

// The number that a value {"of": ...} of benchmark.json gives for this run.
double derived_number(const std::vector<Field>& fields, const RunConfig& config, const Value& value);

// The keys whose values a form decides, in this benchmark and variant.
std::vector<std::string> form_keys(const std::vector<Field>& fields, const Json& benchmark, const Names& names);

// benchmark[key], or ConfigError with the path: a benchmark.json that lacks it is broken.
const Json& member(const Json& object, const std::string& key, const std::string& path);

}  // namespace timetrial::config
