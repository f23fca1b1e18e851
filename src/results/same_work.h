// Are the runs of a folder runs of one and the same work? Only such may be averaged (spec 18.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/results/score.h"

namespace timetrial::results {

// One line per fact in which the runs differ: benchmark, division, variant and form; for small variants the batch too,
// which the convergence check compares for the others; and where none of these differs, the hash of the configuration.
// Variant, form and hash stand in this program's own logs alone. A run that may take the slowest run's place need not
// state a fact; whatever it states counts.
std::vector<std::string> different_work(const std::vector<ScoredRun>& runs, bool small_variant);

}  // namespace timetrial::results
