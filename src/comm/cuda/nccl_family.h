// NcclFamily: the communicators of one rank, the world's and what was split off it, which end together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nccl.h>

#include <mutex>
#include <string>
#include <vector>

namespace timetrial::comm::cuda {

// A collective that is stuck keeps the whole device: cudaFree waits for it, whichever communicator it belongs to. So an
// error of one is looked for in all, and an abort is one of all. tell() may come from any thread, the rest is the
// rank's.
class NcclFamily {
 public:
  NcclFamily() = default;
  ~NcclFamily();  // aborts what is still there
  NcclFamily(const NcclFamily&) = delete;
  NcclFamily& operator=(const NcclFamily&) = delete;

  void add(ncclComm_t handle);
  void remove(ncclComm_t handle);

  // Leaves word for the rank's thread that it has to end.
  void tell(const std::string& why) noexcept;
  std::string told() const;  // the first word, or the reason of the end; empty while there is none

  // What was told, or what NCCL has found out in any communicator that is not being made; empty while all is well.
  std::string trouble() const;
  // Aborts all of them, in one group because each may wait for another's kernel. Returns the reason, which is the first
  // one that was given.
  std::string end(const std::string& why);
  bool ended() const { return ended_; }

  struct Limit {
    double seconds;
    std::string what;   // is waited for
    std::string group;  // the communicator's name
  };
  // The one place that waits for the library itself: a call that does not block may still be at work when it returns.
  // Throws CommError after an abort; LateError when the limit is over.
  void await(ncclComm_t handle, ncclResult_t result, const Limit& limit);

 private:
  std::vector<ncclComm_t> handles_;
  bool ended_ = false;
  mutable std::mutex mutex_;
  std::string told_;
};

// Between two looks at the device or the library: at once for as long as most calls of NCCL take, then after a pause.
class Looks {
 public:
  Looks();
  void pause() const;

 private:
  double started_;
};

}  // namespace timetrial::comm::cuda
