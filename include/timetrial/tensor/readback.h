// Readback: a few numbers of every step on their way to the host, taken a step later without stopping the device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "timetrial/device/event.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial {

// Holds the last two publications. Not thread-safe; one stream.
class Readback {
 public:
  using Ticket = int64_t;  // counts up from 0

  // `values`: elements of one publication.
  Readback(Device device, int64_t values);

  // Queues copies of the tensors, fp32, f64 or int32, behind the stream's work so far; returns at once. Takes the place
  // of the publication two before.
  Ticket publish(std::initializer_list<Tensor> tensors, StreamRef stream);
  bool ready(Ticket ticket) const;
  // All elements in the order published; waits until they are here. Throws Error for a publication that is gone, or
  // when the work before it failed.
  std::vector<double> take(Ticket ticket) const;

 private:
  struct Slot {
    HostBuffer host;
    Event arrived;
    std::vector<DType> types;  // of each value
  };
  const Slot& slot(Ticket ticket) const;

  std::array<Slot, 2> slots_;
  size_t values_;
  Ticket next_ = 0;
};

}  // namespace timetrial
