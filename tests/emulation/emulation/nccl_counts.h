// What the process has asked of the emulated NCCL so far, and faults for tests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::emulation {

struct NcclCounts {
  int64_t made = 0;       // communicators that were ready, counted by rank
  int64_t destroyed = 0;  // after they were finalized
  int64_t aborted = 0;
  int64_t leaked() const { return made - destroyed - aborted; }
  int64_t together = 0;  // most aborts in one group
  int64_t looks = 0;     // ncclCommGetAsyncError
  int64_t misuse = 0;    // calls that NCCL refuses: of a communicator at work, finalized, or gone
};
NcclCounts nccl_counts();
void forget_nccl_counts();

// From now on ncclCommGetAsyncError of rank `rank` says "remote error" for groups of `size` ranks, as after a broken
// connection; size 0: of none.
void break_nccl_groups(int rank, int size);

}  // namespace timetrial::emulation
