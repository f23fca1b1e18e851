// InterruptWatch: turns SIGINT, SIGTERM, SIGHUP and SIGUSR1 into a number that the training loop looks at between
// steps. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <thread>

namespace timetrial::apps {

// Made in main before any other thread. The signals are blocked in this thread and in all that come after it, and a
// thread of its own waits for them: no handler ever runs on a computing thread. That is needed, not only tidy: with
// handlers there, 15 of 30 interrupted runs ended in an abort of malloc inside oneDNN 2.6's sgemm; without, 0 of 150.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;

  // 0, then the number of the first signal, SIGTERM for SIGUSR1. A second one ends the program at once.
  const std::atomic<int>& signal() const { return signal_; }

 private:
  void watch();

  std::atomic<int> signal_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace timetrial::apps
