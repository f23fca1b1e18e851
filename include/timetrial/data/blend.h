// Mixing several datasets by weight, in the reference's order (workloads.md section 10.2).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace timetrial {

struct BlendItem {
  int32_t dataset;
  int64_t item;  // of that dataset
  bool operator==(const BlendItem&) const = default;
};

// Immutable after construction: all members are thread-safe. Memory: 10 bytes per sample (kBytesPerSample).
class Blend {
 public:
  // Weights are any positive numbers (32767 datasets at most); they are normalised to sum 1. Throws UserError
  // otherwise.
  Blend(const std::vector<double>& weights, int64_t samples);

  static constexpr size_t kBytesPerSample = sizeof(int16_t) + sizeof(int64_t);
  // Samples to ask of a dataset with this share of `samples`: its own and 0.5 % more.
  static int64_t requested(int64_t samples, double share);

  int64_t size() const { return static_cast<int64_t>(items_.size()); }
  BlendItem item(int64_t i) const;
  // The same of dataset d (SampleOrderSpec::samples).
  int64_t requested(size_t dataset) const;

 private:
  std::vector<double> weights_;
  int64_t samples_;
  std::vector<int16_t> datasets_;
  std::vector<int64_t> items_;
};

}  // namespace timetrial
