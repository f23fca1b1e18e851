// MFU and its words.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/utilization.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

std::string rate_text(double flops_per_second) {
  return flops_per_second >= 1e12 ? fmt::format("{:.1f} TFLOP/s", flops_per_second / 1e12)
                                  : fmt::format("{:.2f} GFLOP/s", flops_per_second / 1e9);
}

}  // namespace

std::optional<double> Utilization::mfu(double tokens_per_second) const {
  if (!peak) return std::nullopt;
  return flops_per_second(tokens_per_second) / peak->flops_per_second;
}

std::string Utilization::text(double tokens_per_second) const {
  const double rate = flops_per_second(tokens_per_second);
  if (!peak)
    return fmt::format("MFU unknown: {} of model FLOPs per device, no dense peak is known for {}", rate_text(rate),
                       device);
  const std::string sides = fmt::format("{:.1f} of {:.1f} TFLOP/s dense {} ({}), model FLOPs per device", rate / 1e12,
                                        peak->flops_per_second / 1e12, peak->precision, peak->chip);
  if (rate > peak->flops_per_second)
    return fmt::format("MFU impossible: {}; the clock or the FLOP count is wrong", sides);
  return fmt::format("MFU {:.1f} %: {}", 100 * rate / peak->flops_per_second, sides);
}

Json Utilization::json(double tokens_per_second) const {
  const std::optional<double> fraction = mfu(tokens_per_second);
  return {{"model_flops_per_second", flops_per_second(tokens_per_second)},
          {"peak_flops_per_second", peak ? Json(peak->flops_per_second) : Json(nullptr)},
          {"mfu", fraction ? Json(*fraction) : Json(nullptr)},
          {"device", device},
          {"chip", peak ? Json(peak->chip) : Json(nullptr)},
          {"precision", peak ? Json(peak->precision) : Json(nullptr)}};
}

Utilization utilization_of(const RunConfig& config, double train_flops_per_token, const std::string& device_name) {
  return {.flops_per_token = train_flops_per_token,
          .ranks = static_cast<int>(config.parallel.world_size()),
          .device = device_name,
          .peak = config.device.kind == DeviceKind::cuda ? dense_peak(device_name, config.device.dtype) : std::nullopt};
}

}  // namespace timetrial
