// Who is speaking: the host's name and the rank of the calling thread, for error lines and logs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace timetrial {

// Name of this machine as the operating system gives it; "unknown" when it gives none.
std::string host_name();

// The processor's name as the operating system gives it, "unknown processor" when it gives none.
std::string processor_name();

// Rank that the calling thread works for; 0 until set. Per thread, because tests run many ranks as threads of one
// process.
int thread_rank();
void set_thread_rank(int rank);

}  // namespace timetrial
