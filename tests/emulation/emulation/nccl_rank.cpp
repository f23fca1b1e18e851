// How ranks of the emulated NCCL meet. A call is at work until it has been looked at a few times, and reaches its
// stream only then. SPDX-License-Identifier: Apache-2.0
#include "emulation/nccl_rank.h"

#include <algorithm>
#include <cstring>

#include "emulation/device.h"
#include "emulation/nccl_sums.h"

namespace timetrial::emulation {

namespace {

EmulatedDevice& device() { return EmulatedDevice::get(); }

std::vector<const std::byte*> inputs_of(const Assembly& assembly, size_t offset) {
  std::vector<const std::byte*> inputs;
  for (const auto& [rank, operation] : assembly.came) inputs.push_back(operation.in + offset);
  return inputs;
}

bool alike(const Assembly& assembly) {
  const Operation& first = assembly.came.begin()->second;
  return std::all_of(assembly.came.begin(), assembly.came.end(), [&](const auto& entry) {
    const Operation& o = entry.second;
    return o.kind == first.kind && o.count == first.count && o.type == first.type && o.operation == first.operation &&
           o.root == first.root;
  });
}

void perform(Assembly& assembly) {
  const Operation& first = assembly.came.begin()->second;
  const size_t bytes = first.count * bytes_of(first.type);
  std::vector<std::pair<std::byte*, std::vector<std::byte>>> results;
  for (const auto& [rank, operation] : assembly.came) {
    switch (first.kind) {
      case Kind::all_reduce:
        results.emplace_back(operation.out, combined(inputs_of(assembly, 0), first.count, first.type, first.operation));
        break;
      case Kind::reduce_scatter:
        results.emplace_back(operation.out, combined(inputs_of(assembly, static_cast<size_t>(rank) * bytes),
                                                     first.count, first.type, first.operation));
        break;
      case Kind::all_gather: {
        std::vector<std::byte> all;
        for (const std::byte* in : inputs_of(assembly, 0)) all.insert(all.end(), in, in + bytes);
        results.emplace_back(operation.out, std::move(all));
        break;
      }
      case Kind::broadcast: {
        const std::byte* in = assembly.came.at(first.root).in;
        results.emplace_back(operation.out, std::vector<std::byte>(in, in + bytes));
        break;
      }
    }
  }
  for (const auto& [out, result] : results) std::memcpy(out, result.data(), result.size());
}

// The child of a split that everybody has come to.
void fill_part(ncclComm_t comm) {
  const auto& wishes = comm->group->splits.at(comm->split.first);
  std::vector<std::pair<int, int>> mine;  // key, rank
  for (const Group::Wish& wish : wishes)
    if (wish.colour == comm->split.second) mine.emplace_back(wish.key, wish.rank);
  std::sort(mine.begin(), mine.end());
  auto& part = comm->group->parts[comm->split];
  if (!part) part = std::make_shared<Group>(static_cast<int>(mine.size()));
  const auto place =
      std::find_if(mine.begin(), mine.end(), [&](const auto& entry) { return entry.second == comm->rank; });
  *comm->part = add_rank(part, static_cast<int>(place - mine.begin()));
  comm->part = nullptr;
}

}  // namespace

// What keeps a call from being made, as ncclCommEnsureReady does.
const char* unfit(ncclComm_t comm) {
  if (comm == nullptr || comm->gone) return "a communicator that is gone";
  if (!comm->ready || comm->looks > 0 || comm->part != nullptr)
    return "Attempt to use communicator before the previous operation returned ncclSuccess";
  if (comm->finalizing) return "a finalized communicator";
  return nullptr;
}

// Ranks that come with different calls wait for ever, which is what NCCL may do.
bool meet(NcclRank& me, int64_t call, const Operation& operation) {
  Assembly& assembly = me.group->assemblies[call];
  if (!me.aborted) assembly.came.emplace(me.rank, operation);
  return me.aborted || assembly.done ||
         (!me.group->broken && static_cast<int>(assembly.came.size()) == me.group->size && alike(assembly));
}

void part(NcclRank& me, int64_t call) {
  Assembly& assembly = me.group->assemblies[call];
  if (!me.aborted && !std::exchange(assembly.done, true)) {
    perform(assembly);
    device().notify();
  }
  --me.open;
}

ncclComm_t add_rank(std::shared_ptr<Group> group, int rank) {
  ++group->joined;
  auto made = std::make_unique<NcclRank>();
  made->group = std::move(group);
  made->rank = rank;
  made->device = current_device();
  made->looks = kLooks;
  return Library::get().ranks.emplace_back(std::move(made)).get();
}

// What is still under way; counts a look.
bool at_work(ncclComm_t comm) {
  if (comm->group->joined < comm->group->size) return true;
  if (comm->part != nullptr && static_cast<int>(comm->group->splits.at(comm->split.first).size()) < comm->group->size)
    return true;
  if (comm->finalizing && (comm->open > 0 || comm->group->finalized < comm->group->size)) {
    device().work_on_everything();
    return true;
  }
  if (comm->looks > 0 && --comm->looks > 0) return true;
  if (comm->part != nullptr) fill_part(comm);
  if (!std::exchange(comm->ready, true)) ++Library::get().counts.made;
  for (const auto& go : std::exchange(comm->queued, {})) go();
  return false;
}

}  // namespace timetrial::emulation
