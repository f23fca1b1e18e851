// DeviceWatch: looks at the GPU while a run goes on, and says when it was slowed down or shared.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>

#include "timetrial/device/sensors.h"
#include "timetrial/train/reporter.h"
#include "timetrial/train/run_log.h"

namespace timetrial {

// Passes everything on to `next`; between steps, at most once in `interval` seconds, it reads the sensors. What is new
// (a reason to throttle, another process) goes into the log as a warning at once; summary() has it all.
class DeviceWatch : public Reporter {
 public:
  DeviceWatch(const DeviceSensors& sensors, RunLog& log, std::unique_ptr<Reporter> next, double interval = 1);

  void stage(const char* what) override;
  void step(const StepReport& report) override;
  void evaluation(const EvaluationReport& report) override;

  // One line: "GPU throttled in 12 of 300 looks (power cap 12); shared with 1 other process; 652 W, 64 C, 1755 MHz at
  // the last look"; the first two parts only when they happened. Empty before the first look.
  std::string summary() const;
  bool disturbed() const { return throttled_ > 0 || most_others_ > 0; }

 private:
  void look();

  const DeviceSensors& sensors_;
  RunLog& log_;
  std::unique_ptr<Reporter> next_;
  double interval_, last_look_;
  int64_t looks_ = 0, throttled_ = 0;
  std::map<std::string, int64_t> reasons_;
  int most_others_ = 0;
  DeviceState last_;
};

}  // namespace timetrial
