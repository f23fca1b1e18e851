// Step metrics: one JSON line per training step, for plots and comparisons.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "timetrial/train/reporter.h"
#include "timetrial/train/utilization.h"

namespace timetrial {

// Passes everything on to `next` and writes, for every step, one line
//   {"step", "samples", "loss", "multi_token_loss", "aux_loss", "gradient_norm", "learning_rate", "tokens", "seconds",
//    "communication_seconds", "exposed_seconds", "model_flops_per_second", "mfu", "expert_load"}
// to `path`: steps and sequences done, mean loss in nats per token, the losses that enter through gradients alone (of
// StepResult; null where the model has none), norm before clipping, the rate the step used, tokens of the step, its
// seconds, those in collectives and those of them that it waited for (StepReport; null where unknown), model FLOPs per
// second and device and their share of the chip's dense peak (null where no peak is known), and per layer of experts
// the tokens that each expert got (an empty list without experts). Whole lines reach the file as they are written.
// Throws UserError when the file exists or cannot be made, and Error when a line cannot be written.
std::unique_ptr<Reporter> make_metrics(const std::string& path, const Utilization& utilization,
                                       std::unique_ptr<Reporter> next);

// Throws UserError when the file exists.
void refuse_used_metrics(const std::string& path);

}  // namespace timetrial
