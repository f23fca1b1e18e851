// OpObserver: sees every op that is called on a stream, with the work it stands for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace timetrial {

struct OpCall {
  std::string_view name;
  double flops;  // multiplications and additions of its matrix products; 0 for ops without one
  double bytes;  // every tensor moved once: what is read, what is written, and twice what is updated
};

// Attached to a Stream, called by the op fronts on the thread that queues the work. On the CPU the op is done at
// `after`; on CUDA it is queued.
class OpObserver {
 public:
  virtual ~OpObserver() = default;
  virtual void before(const OpCall& call) = 0;
  virtual void after(const OpCall& call) = 0;
};

}  // namespace timetrial
