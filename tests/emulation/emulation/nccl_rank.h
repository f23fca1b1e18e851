// What the emulated NCCL knows: groups of ranks, where they meet, and the calls of a rank that are under way.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nccl.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "emulation/nccl_counts.h"

namespace timetrial::emulation {

inline constexpr int kLooks = 2;  // at ncclCommGetAsyncError that a call takes, once nobody is missing

enum class Kind { all_reduce, reduce_scatter, all_gather, broadcast };

struct Operation {
  Kind kind;
  const std::byte* in;
  std::byte* out;
  size_t count;  // elements of the smaller side
  ncclDataType_t type;
  ncclRedOp_t operation = ncclSum;
  int root = 0;
};

// Where the ranks of a group meet for one collective.
struct Assembly {
  std::map<int, Operation> came;
  bool done = false;
};

struct Group {
  explicit Group(int ranks) : size(ranks) {}
  int size;
  int joined = 0, finalized = 0;
  bool broken = false;  // a rank has aborted: nobody meets any more
  std::map<int64_t, Assembly> assemblies;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> sent;  // from, to
  struct Wish {
    int colour, key, rank;
  };
  std::map<int64_t, std::vector<Wish>> splits;
  std::map<std::pair<int64_t, int>, std::shared_ptr<Group>> parts;  // split, colour
};

struct NcclRank {
  std::shared_ptr<Group> group;
  int rank;
  int device;
  bool ready = false, finalizing = false, gone = false, aborted = false;
  int looks = 0;
  int64_t calls = 0, splits = 0, open = 0;    // open: operations on a stream that are not done
  std::vector<std::function<void()>> queued;  // go to their streams when the call is done
  std::pair<int64_t, int> split = {-1, 0};    // under way: which, colour
  ncclComm_t* part = nullptr;                 // of the split under way
  std::string words;
};

// All groups of the process. Everything here is used under the devices' lock.
struct Library {
  std::deque<std::unique_ptr<NcclRank>> ranks;  // never freed, so that a stale handle is recognised
  std::map<std::string, std::shared_ptr<Group>> worlds;
  NcclCounts counts;
  int broken_rank = 0, broken_size = 0;

  static Library& get() {
    static auto* const library = new Library;
    return *library;
  }
};

ncclComm_t add_rank(std::shared_ptr<Group> group, int rank);
// What keeps a call from being made; null when nothing does.
const char* unfit(ncclComm_t comm);
// The call under way is not done; counts a look.
bool at_work(ncclComm_t comm);
// A rank has come to a collective on its stream; true when all have, or when it need not wait any more.
bool meet(NcclRank& me, int64_t call, const Operation& operation);
// Then: whoever is first does it for all.
void part(NcclRank& me, int64_t call);

}  // namespace timetrial::emulation
