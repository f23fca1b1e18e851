// What a run claims to be, and what its benchmark leaves free to it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "layers.h"

namespace timetrial::config {

// The workload that the values name. Throws ConfigError when they name none.
std::string read_workload(const Values& asked);

// The variant and form that are asked for; the benchmark's default form, put into `asked`, where none is. Throws
// ConfigError for names that the benchmark does not have.
Names read_names(Values& asked, const Json& benchmark);

// The values a benchmark leaves free to a run of this name, as the run has them. A batch below /mlperf/smallest_batch
// is not free. The full variant has /mlperf/free_in_full besides, because smaller ones derive other values from these
// keys; and of a key in /mlperf/allowed the values there, and no others.
Values free_values(const std::vector<Field>& fields, const RunConfig& run, const Json& benchmark, const Names& names);

bool contains(const std::vector<std::string>& list, const std::string& word);

}  // namespace timetrial::config
