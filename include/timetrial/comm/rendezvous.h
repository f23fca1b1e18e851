// Where the ranks of a run meet: a port that is kept for rank 0, and a name that tells the run from others.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace timetrial::comm {

// A TCP port of all addresses of this host, IPv6 ones too where the system has them. As long as this lives the system
// gives it to nobody who does not ask for this very port; rank 0, which does, can listen on it meanwhile.
class ReservedPort {
 public:
  // 0: one of the system's choice. Throws Error when it cannot be had.
  explicit ReservedPort(int number = 0);
  ~ReservedPort();
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;

  int number() const { return number_; }
  // Once: a socket that listens on the port, for the caller to close. Throws Error when somebody else listens there.
  int listen();

 private:
  int socket_ = -1, number_ = 0;
};

// A name that no other start has.
std::string new_run_id();

}  // namespace timetrial::comm
