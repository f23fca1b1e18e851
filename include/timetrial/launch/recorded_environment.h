// The environment variables that a run writes down beside its log: which, and how ranks differ in them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::launch {

using Variables = std::map<std::string, std::string>;

// Of an environment as execve has it: names that begin with NCCL_, OMPI_, UCX_, SLURM_, OMP_, GOMP_, DNNL_, CUDA_ or
// TIMETRIAL_. Never one whose name says that it is a secret (a part KEY, TOKEN, JWT, SECRET, PASSWORD, CREDENTIAL or
// AUTH), nor the addresses and keys by which Open MPI's daemons find each other.
Variables recorded_variables(const char* const* environment);

// What of `mine` is other than in `first`; null where it is missing. Without the variables that tell a process its
// place, which always differ.
Json differences(const Variables& first, const Variables& mine);

// "timetrial.environment/1": all variables of rank 0, and for each other rank that differs in some, these.
Json environment_record(const Variables& first, const std::vector<Json>& differences_by_rank);

}  // namespace timetrial::launch
