// Variables: environment variables read as numbers, with errors that name them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/config/environment.h"

namespace timetrial::config {

// None when the variable is not set. Throws UserError, naming it, for anything but a whole number from 0.
std::optional<int> look_up_number(const LookUp& look_up, const std::string& variable);

// The same for a text that came out of a variable.
int number_of(const std::string& variable, const std::string& text);

// Where rank 0 waits; none when nothing tells. `rank` is what was found of this process.
std::optional<Address> find_rendezvous(const LookUp& look_up, const std::optional<RankFacts>& rank);

// The name all ranks of one start share; empty when there is none.
std::string find_run_id(const LookUp& look_up, const std::optional<RankFacts>& rank);

std::optional<SlurmAllocation> find_slurm(const LookUp& look_up);

}  // namespace timetrial::config
