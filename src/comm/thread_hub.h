// ThreadHub: where ranks that are threads meet for a collective, see each other's calls, and part again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "timetrial/comm/communicator.h"

namespace timetrial::comm {

// What all groups of one world share: one lock, one bell, and the first failure, which ends them all.
struct ThreadWorld {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::string> failure;

  void fail(const std::string& why);  // the first one counts
};

// Serves one group. Between meet and part every rank may read and write what the others' calls show.
class ThreadHub {
 public:
  ThreadHub(std::shared_ptr<ThreadWorld> world, std::string name, int size);

  // Returns when all ranks are here with calls that fit together. Throws CommError when one does not come within
  // `deadline` seconds, when calls differ, or when the world has failed.
  void meet(int rank, const Call& call, double deadline);
  // Returns when all ranks are done with each other's memory.
  void part(int rank, double deadline);

  const Call& call_of(int rank) const { return calls_[static_cast<size_t>(rank)]; }
  // The hub of a part of this group, made by whichever of its ranks asks first; between meet and part.
  std::shared_ptr<ThreadHub> part_of(const Call& call, const std::string& name, int size);
  ThreadWorld& world() { return *world_; }
  int size() const { return static_cast<int>(calls_.size()); }

 private:
  enum class Gate { meeting, parting };
  void wait(Gate gate, int rank, double deadline, std::unique_lock<std::mutex> lock);
  std::string missing_text(Gate gate, double deadline) const;

  std::shared_ptr<ThreadWorld> world_;
  std::string name_;
  std::vector<Call> calls_;
  std::vector<std::string> last_;  // each rank's last call as text: purposes may be gone by the time it is asked for
  std::vector<bool> here_;
  int arrived_ = 0;
  int64_t round_ = 0;                                                    // gates passed
  std::map<std::pair<int64_t, int>, std::shared_ptr<ThreadHub>> parts_;  // by call and colour
};

}  // namespace timetrial::comm
