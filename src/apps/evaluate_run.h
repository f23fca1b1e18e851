// The loss of a checkpoint over the evaluation set, and nothing trained.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/train_run.h"

namespace timetrial::apps {

// On all ranks that this process is; rank 0 prints the loss. Returns the exit code. Throws UserError without a
// checkpoint.
int evaluate_only(const RunConfig& config, const Workload& workload, const RunOptions& options,
                  const std::atomic<int>& interrupt);

}  // namespace timetrial::apps
