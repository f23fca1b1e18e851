// Fiber: a stack of its own that runs until it yields; told to the sanitizers, which otherwise take a switch for a
// broken stack. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

namespace timetrial::emulation {

// One system thread at a time may use it; never destroyed, since nothing could end the work inside.
class Fiber {
 public:
  explicit Fiber(std::function<void()> work);
  ~Fiber() = delete;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the work on until it yields (false) or ends (true); after its end, from the start again.
  bool resume();
  // From inside the work: back to who resumed.
  void yield();

 private:
  struct Parts;
  Parts* parts_;
};

}  // namespace timetrial::emulation
