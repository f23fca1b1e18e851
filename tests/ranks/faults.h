// Mistakes of data parallelism, each put between a sound run and its ranks.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ranks/worlds.h"

namespace timetrial::testing {

Meddling doubled_axis();                           // gradients summed over the data axis twice
Meddling dropped_division();                       // the loss is not divided by the micro batches
Meddling lost_tied_gradient();                     // a tied parameter is taken for complete after its first use
Meddling wrong_reduce_group();                     // experts' gradients summed over neighbouring pairs alone
Meddling skipped_sum(const std::string& purpose);  // a sum over ranks that each rank keeps to itself
Meddling stale_weights();                          // a rank never gets the shards that the others updated

}  // namespace timetrial::testing
