// StepDeadline: how long a rank waits for the others in one collective, from how long steps have taken.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "timetrial/config/run_config.h"

namespace timetrial {

// The init deadline until a step was timed; then the larger of the step deadline and five median steps of the last
// kWindow.
class StepDeadline {
 public:
  explicit StepDeadline(const ClusterConfig& cluster) : init_(cluster.init_deadline), least_(cluster.step_deadline) {}
  void add(double step_seconds);
  double seconds() const;

  static constexpr size_t kWindow = 51;
  static constexpr double kMedians = 5;

 private:
  double init_, least_;
  std::vector<double> steps_;
  size_t next_ = 0;
};

}  // namespace timetrial
