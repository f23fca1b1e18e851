// Help on the names that give a run's other keys their values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/base/json.h"

namespace timetrial {

// Of a workload's benchmark.json: its name, then one line for each variant and form that a config can name, with what
// that is and which form is the default.
std::string names_help(const Json& benchmark);

}  // namespace timetrial
