// NCCL's interface between threads of one process, each with an emulated device. No call blocks.
// SPDX-License-Identifier: Apache-2.0
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "emulation/device.h"
#include "emulation/nccl_rank.h"
#include "emulation/nccl_sums.h"

namespace timetrial::emulation {

namespace {

Library& library() { return Library::get(); }
EmulatedDevice& device() { return EmulatedDevice::get(); }

// Calls of a thread since ncclGroupStart.
struct Pending {
  int depth = 0;
  std::vector<std::function<void()>> calls;
  int aborts = 0;
};
Pending& pending() {
  thread_local Pending calls;
  return calls;
}

// NCCL's own work leaves no context on a device that is not the communicator's.
ncclResult_t alone(const std::function<ncclResult_t()>& call) {
  ncclResult_t result = ncclSuccess;
  const cudaError_t code = device().guarded([&] {
    result = call();
    return cudaSuccess;
  });
  return code == cudaSuccess ? result : ncclUnhandledCudaError;
}

ncclResult_t refuse(ncclComm_t comm, const char* why) {
  ++library().counts.misuse;
  if (comm != nullptr) comm->words = why;
  return ncclInvalidArgument;
}

ncclResult_t collective(ncclComm_t comm, cudaStream_t stream, const Operation& operation) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    if (device().stream(stream)->device != comm->device) return refuse(comm, "a stream of another device");
    ++comm->open;
    comm->queued.push_back([comm, stream, operation, call = comm->calls++] {
      device().queue(stream, {[comm, call, operation] { return meet(*comm, call, operation); },
                              [comm, call] { part(*comm, call); }});
    });
    const auto begin = [comm] { comm->looks = kLooks; };
    if (pending().depth > 0)
      pending().calls.emplace_back(begin);
    else
      begin();
    return pending().depth > 0 ? ncclSuccess : ncclInProgress;
  });
}

ncclResult_t abort_now(ncclComm_t comm) {
  if (comm->gone) return refuse(nullptr, "");
  comm->gone = comm->aborted = comm->group->broken = true;
  comm->queued.clear();
  if (comm->ready) ++library().counts.aborted;
  device().notify();
  return ncclSuccess;
}

}  // namespace

NcclCounts nccl_counts() { return library().counts; }
void forget_nccl_counts() { library().counts = {}; }
void break_nccl_groups(int rank, int size) {
  library().broken_rank = rank;
  library().broken_size = size;
}

}  // namespace timetrial::emulation

using namespace timetrial::emulation;  // NOLINT: what follows has NCCL's names

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) { return comm == nullptr ? "" : comm->words.c_str(); }

// There is none.
ncclResult_t ncclGetVersion(int*) { return ncclSystemError; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  return alone([&] {
    *id = {};
    std::snprintf(id->internal, sizeof id->internal, "world %zu", library().worlds.size());
    library().worlds[id->internal];
    return ncclSuccess;
  });
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank, ncclConfig_t* config) {
  return alone([&] {
    const auto world = library().worlds.find(id.internal);
    if (config->blocking != 0 || world == library().worlds.end()) return refuse(nullptr, "");
    if (!world->second) world->second = std::make_shared<Group>(size);
    *comm = add_rank(world->second, rank);
    return ncclInProgress;
  });
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* part, ncclConfig_t*) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    comm->split = {comm->splits++, color};
    comm->part = part;
    comm->looks = kLooks;
    comm->group->splits[comm->split.first].push_back({color, key, comm->rank});
    return ncclInProgress;
  });
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    comm->finalizing = true;
    ++comm->group->finalized;
    comm->looks = kLooks;
    return ncclInProgress;
  });
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  return alone([&] {
    if (comm == nullptr || comm->gone || !comm->finalizing || comm->looks > 0) return refuse(comm, "not finalized");
    comm->gone = true;
    ++library().counts.destroyed;
    return ncclSuccess;
  });
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  return alone([&] {
    if (pending().depth == 0) return abort_now(comm);
    ++pending().aborts;
    pending().calls.emplace_back([comm] { abort_now(comm); });
    return ncclSuccess;
  });
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  return alone([&] {
    ++library().counts.looks;
    if (comm == nullptr || comm->gone) return refuse(nullptr, "");
    if (library().broken_size == comm->group->size && library().broken_rank == comm->rank)
      *error = ncclRemoteError;
    else
      *error = at_work(comm) ? ncclInProgress : ncclSuccess;
    return ncclSuccess;
  });
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    *rank = comm->rank;
    return ncclSuccess;
  });
}

ncclResult_t ncclCommCount(ncclComm_t comm, int* size) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    *size = comm->group->size;
    return ncclSuccess;
  });
}

ncclResult_t ncclGroupStart() {
  ++pending().depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (--pending().depth > 0) return ncclSuccess;
  return alone([&] {
    const Pending group = std::exchange(pending(), {});
    library().counts.together = std::max<int64_t>(library().counts.together, group.aborts);
    for (const auto& call : group.calls) call();
    return group.calls.empty() || group.aborts > 0 ? ncclSuccess : ncclInProgress;
  });
}

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t comm, cudaStream_t stream) {
  return collective(
      comm, stream,
      {Kind::all_reduce, static_cast<const std::byte*>(in), static_cast<std::byte*>(out), count, type, operation});
}

ncclResult_t ncclReduceScatter(const void* in, void* out, size_t out_count, ncclDataType_t type, ncclRedOp_t operation,
                               ncclComm_t comm, cudaStream_t stream) {
  return collective(comm, stream,
                    {Kind::reduce_scatter, static_cast<const std::byte*>(in), static_cast<std::byte*>(out), out_count,
                     type, operation});
}

ncclResult_t ncclAllGather(const void* in, void* out, size_t in_count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return collective(
      comm, stream,
      {Kind::all_gather, static_cast<const std::byte*>(in), static_cast<std::byte*>(out), in_count, type});
}

ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return collective(
      comm, stream,
      {Kind::broadcast, static_cast<const std::byte*>(in), static_cast<std::byte*>(out), count, type, ncclSum, root});
}

ncclResult_t ncclSend(const void* in, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    if (pending().depth == 0) return refuse(comm, "a send outside of a group");
    // Behind the group's receives it would wait for itself, so the bytes leave before the peer asks for them.
    comm->queued.emplace_back([comm, stream, peer, in, bytes = count * bytes_of(type)] {
      device().queue(stream, [comm, peer, in, bytes] {
        const auto* const begin = static_cast<const std::byte*>(in);
        comm->group->sent[{comm->rank, peer}].emplace_back(begin, begin + bytes);
        device().notify();
      });
    });
    pending().calls.emplace_back([comm] { comm->looks = kLooks; });
    return ncclSuccess;
  });
}

ncclResult_t ncclRecv(void* out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  return alone([&] {
    if (const char* why = unfit(comm)) return refuse(comm, why);
    if (pending().depth == 0) return refuse(comm, "a receive outside of a group");
    ++comm->open;
    const size_t bytes = count * bytes_of(type);
    comm->queued.push_back([comm, stream, peer, out, bytes] {
      const auto there = [comm, peer, bytes] {
        const auto& waiting = comm->group->sent[{peer, comm->rank}];
        return comm->aborted || (!waiting.empty() && waiting.front().size() == bytes);
      };
      const auto take = [comm, peer, out, bytes] {
        auto& waiting = comm->group->sent[{peer, comm->rank}];
        if (!comm->aborted) {
          std::memcpy(out, waiting.front().data(), bytes);
          waiting.pop_front();
        }
        --comm->open;
      };
      device().queue(stream, {there, take});
    });
    pending().calls.emplace_back([comm] { comm->looks = kLooks; });
    return ncclSuccess;
  });
}
