// Utilization: how much of a chip's dense peak a run's model arithmetic is (MFU), with both numbers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/base/json.h"
#include "timetrial/config/chip_peak.h"
#include "timetrial/config/run_config.h"

namespace timetrial {

// Model FLOPs alone (spec 14): matrix products and attention over visible keys, no recomputation, no optimizer.
struct Utilization {
  double flops_per_token = 0;    // of training
  int ranks = 1;                 // one device each
  std::string device;            // as the driver names it; a processor's name on the CPU
  std::optional<ChipPeak> peak;  // none: unknown chip or precision, and no MFU

  double flops_per_second(double tokens_per_second) const { return flops_per_token * tokens_per_second / ranks; }
  // Fraction of the peak; none without a peak.
  std::optional<double> mfu(double tokens_per_second) const;
  // "MFU 31.2 %: 308.7 of 989.4 TFLOP/s dense bf16 (H100 SXM), model FLOPs per GPU", or what is known without a peak. A
  // figure above the peak is called impossible instead of being believed.
  std::string text(double tokens_per_second) const;
  // {"model_flops_per_second", "peak_flops_per_second", "mfu", "chip", "precision"}, null where unknown.
  Json json(double tokens_per_second) const;
};

Utilization utilization_of(const RunConfig& config, double train_flops_per_token, const std::string& device_name);

}  // namespace timetrial
