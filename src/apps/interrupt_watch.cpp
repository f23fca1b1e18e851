// Blocked signals and the thread that waits for them.
// SPDX-License-Identifier: Apache-2.0
#include "apps/interrupt_watch.h"

#include <pthread.h>

#include <csignal>

namespace timetrial::apps {

namespace {

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

InterruptWatch::InterruptWatch() {
  // A file at its size limit and a closed pipe are failures of the write, which has a line to say it; by default they
  // would end the process without one, and without closing the log.
  for (int number : {SIGXFSZ, SIGPIPE}) std::signal(number, SIG_IGN);
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { watch(); });
}

InterruptWatch::~InterruptWatch() {
  stop_ = true;
  pthread_kill(thread_.native_handle(), SIGHUP);  // wakes sigwait
  thread_.join();
}

void InterruptWatch::watch() {
  const sigset_t set = watched_signals();
  int number = 0;
  while (sigwait(&set, &number) == 0 && !stop_) {
    if (signal_ != 0) {
      pthread_sigmask(SIG_UNBLOCK, &set, nullptr);  // only here: the default action ends the process
      raise(number);
    }
    // mpirun hands SIGUSR1 on where a SIGTERM would make it kill all ranks a second later; schedulers send it as well.
    signal_ = number == SIGUSR1 ? SIGTERM : number;
  }
}

}  // namespace timetrial::apps
