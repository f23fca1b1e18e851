// OpProfile: where a step's time goes, op by op, beside what the machine can do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "timetrial/device/device.h"
#include "timetrial/device/op_observer.h"

namespace timetrial {

struct OpTotal {
  std::string name;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

// Adds up what its stream tells it. For CPU streams: an op is done when it returns.
class OpProfile : public OpObserver {
 public:
  void before(const OpCall& call) override;
  void after(const OpCall& call) override;
  std::vector<OpTotal> totals() const;  // longest first

 private:
  std::map<std::string, OpTotal, std::less<>> totals_;
  std::chrono::steady_clock::time_point started_;
};

// What this machine does at best with the threads of the calling program, measured now in about a second.
struct MachineCeilings {
  double flops_per_second;  // fp32 product of 1024 x 1024 matrices, best of several
  double bytes_per_second;  // sum of two arrays of 64 MiB into a third: two read, one written
};
MachineCeilings measure_ceilings(StreamRef stream);
MachineCeilings best_of(const MachineCeilings& a, const MachineCeilings& b);

// An op ran its products faster than the fastest product: the ceiling was measured while something else ran.
bool ceiling_is_low(const std::vector<OpTotal>& ops, const MachineCeilings& ceilings);

}  // namespace timetrial
