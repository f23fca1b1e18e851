// Sums per op, and the two ceilings they are held against.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/op_profile.h"

#include <algorithm>

#include "timetrial/base/clock.h"
#include "timetrial/ops/elementwise.h"
#include "timetrial/ops/matmul.h"

namespace timetrial {

namespace {

// Seconds of the fastest of several calls.
template <class F>
double fastest(const F& call) {
  constexpr int kCalls = 12;
  double best = 1e30;
  for (int i = 0; i < kCalls; ++i) {
    const double started = monotonic_seconds();
    call();
    best = std::min(best, monotonic_seconds() - started);
  }
  return best;
}

}  // namespace

void OpProfile::before(const OpCall&) { started_ = std::chrono::steady_clock::now(); }

void OpProfile::after(const OpCall& call) {
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started_;
  auto found = totals_.find(call.name);
  if (found == totals_.end()) {
    const std::string name(call.name);
    found = totals_.emplace(name, OpTotal{.name = name}).first;
  }
  OpTotal& total = found->second;
  ++total.calls;
  total.seconds += seconds.count();
  total.flops += call.flops;
  total.bytes += call.bytes;
}

std::vector<OpTotal> OpProfile::totals() const {
  std::vector<OpTotal> all;
  for (const auto& [name, total] : totals_) all.push_back(total);
  std::sort(all.begin(), all.end(), [](const OpTotal& a, const OpTotal& b) { return a.seconds > b.seconds; });
  return all;
}

MachineCeilings measure_ceilings(StreamRef stream) {
  constexpr int64_t kSide = 1024, kElements = int64_t{16} << 20;
  const OwnedTensor a(DType::f32, {kSide, kSide}), b(DType::f32, {kSide, kSide}), c(DType::f32, {kSide, kSide});
  const double product = fastest([&] { ops::matmul({.c = c, .a = a, .b = b}, stream); });
  const OwnedTensor x(DType::f32, {kElements}), y(DType::f32, {kElements}), sum(DType::f32, {kElements});
  const double addition = fastest([&] { ops::add({.out = sum, .a = x, .b = y}, stream); });
  return {.flops_per_second = 2.0 * kSide * kSide * kSide / product,
          .bytes_per_second = 3.0 * static_cast<double>(kElements * sizeof(float)) / addition};
}

MachineCeilings best_of(const MachineCeilings& a, const MachineCeilings& b) {
  return {.flops_per_second = std::max(a.flops_per_second, b.flops_per_second),
          .bytes_per_second = std::max(a.bytes_per_second, b.bytes_per_second)};
}

bool ceiling_is_low(const std::vector<OpTotal>& ops, const MachineCeilings& ceilings) {
  constexpr double kNoise = 1.05;
  return std::any_of(ops.begin(), ops.end(),
                     [&](const OpTotal& op) { return op.flops > kNoise * ceilings.flops_per_second * op.seconds; });
}

}  // namespace timetrial
