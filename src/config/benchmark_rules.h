// What /mlperf of benchmark.json says of values: which the rules of a division limit, and which they allow.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layers.h"

namespace timetrial::config {

bool is_open(const RunConfig& run);

// The full benchmark's own variant: a run that bears its name claims the benchmark.
std::string full_variant(const Json& benchmark);

// The config key whose value a run logs under an official key that fixes values. Throws Error for any other key.
std::string config_key(const std::string& log_key);

// Those of /mlperf/rules that limit a value in this run's division: all of them in the closed one, and in the open one
// those that its rule file limits too ("open": true).
std::vector<Json> rules_of_division(const Json& benchmark, const RunConfig& run);

// Whether a variant decides this key's value in the run's division. In the open one only what its rules limit.
bool is_fixed(const std::string& key, const Json& benchmark, const RunConfig& run);

// The values that /mlperf/allowed gives for this key and run; none where it does not name the key.
std::optional<std::vector<double>> allowed_values(const std::vector<Field>& fields, const RunConfig& run,
                                                  const Json& benchmark, const std::string& key);

// Whether `value` is one of them, the last digits of a quotient aside.
bool is_among(double value, const std::vector<double>& allowed);

}  // namespace timetrial::config
