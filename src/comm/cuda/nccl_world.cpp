// NCCL communicators that never block the host for ever: every wait has a deadline, and ends with an abort.
// SPDX-License-Identifier: Apache-2.0
#include "comm/cuda/nccl_world.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <thread>

#include "comm/patience.h"
#include "device/cuda/check.h"

namespace timetrial::comm::cuda {

namespace {

constexpr auto kPause = std::chrono::microseconds(20);  // between two looks at the device or the library

ncclDataType_t type_of(DType type) {
  switch (type) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i32:
      return ncclInt32;
    case DType::i64:
      return ncclInt64;
  }
  throw Error("unknown element type");
}

ncclRedOp_t operation_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum:
      return ncclSum;
    case Reduction::max:
      return ncclMax;
  }
  throw Error("unknown reduction");
}

ncclConfig_t patient_config() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

class NcclCommunicator final : public Communicator {
 public:
  // `begin` starts the making of the handle, without waiting for the others.
  template <class Begin>
  NcclCommunicator(const std::string& name, int rank, int size, Device device, const Deadlines& deadlines,
                   const Begin& begin)
      : Communicator(name, rank, size, deadlines.call), device_(device) {
    const timetrial::cuda::DeviceScope scope(device.index);
    await(begin(&handle_), {deadlines.init, fmt::format("making the group of {} ranks", size)});
    TIMETRIAL_CUDA(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming));
  }

  ~NcclCommunicator() override {
    if (done_ != nullptr) cudaEventDestroy(done_);
    if (handle_ == nullptr) return;
    // Finalizing would wait for peers that may be gone; abort frees the same memory.
    ncclCommAbort(handle_);
  }

  void abort(const std::string& why) noexcept override {
    try {
      const std::lock_guard lock(mutex_);
      if (aborted_.empty()) aborted_ = why;
    } catch (const std::exception&) {
      // No memory for the text; whoever waits then runs into the deadline.
    }
  }

  // Waits for the stream alone, with an eye on the library and on abort().
  void wait(StreamRef stream) override {
    const timetrial::cuda::DeviceScope scope(device_.index);
    TIMETRIAL_CUDA(cudaEventRecord(done_, static_cast<cudaStream_t>(stream.handle)));
    Patience patience(deadline());
    for (;;) {
      const cudaError_t state = cudaEventQuery(done_);
      if (state == cudaSuccess) return;
      if (state != cudaErrorNotReady) TIMETRIAL_CUDA(state);
      look();
      if (patience.over()) {
        const Position last = position();
        give_up_late(
            fmt::format("the device did not get past {} \"{}\" (call {}) within {:.3g} s: another rank did not come",
                        name_of(last.kind), last.purpose, last.sequence, deadline()));
      }
      std::this_thread::sleep_for(kPause);
    }
  }

 private:
  struct Limit {
    double seconds;
    std::string what;
  };

  std::string end(const std::string& why) {
    std::string text = fmt::format("{}: {}", name(), why);
    abort(text);
    if (handle_ != nullptr) ncclCommAbort(handle_);
    handle_ = nullptr;
    return text;
  }
  [[noreturn]] void give_up(const std::string& why) { throw CommError(end(why)); }
  [[noreturn]] void give_up_late(const std::string& why) { throw LateError(end(why)); }

  // Throws what abort() said, or what NCCL found out since it was last asked.
  void look() {
    {
      const std::lock_guard lock(mutex_);
      if (!aborted_.empty() && handle_ == nullptr) throw CommError(aborted_);
    }
    std::string why;
    {
      const std::lock_guard lock(mutex_);
      why = aborted_;
    }
    if (!why.empty()) give_up(why);
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(handle_, &state);
    if (asked != ncclSuccess) give_up(ncclGetErrorString(asked));
    if (state != ncclSuccess && state != ncclInProgress)
      give_up(fmt::format("{}: {}", ncclGetErrorString(state), ncclGetLastError(handle_)));
  }

  // The one place that waits for the library itself: a non-blocking call may still be at work when it returns.
  void await(ncclResult_t result, const Limit& limit) {
    Patience patience(limit.seconds);
    while (result == ncclInProgress) {
      if (patience.over())
        give_up_late(
            fmt::format("{} was not done within {:.3g} s: another rank did not come", limit.what, limit.seconds));
      std::this_thread::sleep_for(kPause);
      const ncclResult_t asked = ncclCommGetAsyncError(handle_, &result);
      if (asked != ncclSuccess) result = asked;
    }
    if (result == ncclSuccess) return;
    const char* words = handle_ != nullptr ? ncclGetLastError(handle_) : "";
    give_up(fmt::format("{}: {} {}", limit.what, ncclGetErrorString(result), words));
  }

  ncclResult_t exchange(const Call& call) {
    const auto stream = static_cast<cudaStream_t>(call.stream.handle);
    const ncclDataType_t type = type_of(call.in.dtype());
    const size_t size = size_of(call.in.dtype());
    const auto* in = static_cast<const std::byte*>(call.in.raw());
    auto* out = static_cast<std::byte*>(call.out.raw());
    ncclResult_t worst = ncclGroupStart();
    const auto keep = [&worst](ncclResult_t result) {
      if (result != ncclSuccess && result != ncclInProgress) worst = result;
    };
    for (int peer = 0; peer < this->size(); ++peer) {
      const auto received = static_cast<size_t>(call.out_counts[static_cast<size_t>(peer)]);
      const auto sent = static_cast<size_t>(call.in_counts[static_cast<size_t>(peer)]);
      if (sent > 0) keep(ncclSend(in, sent, type, peer, handle_, stream));
      if (received > 0) keep(ncclRecv(out, received, type, peer, handle_, stream));
      in += sent * size;
      out += received * size;
    }
    const ncclResult_t ended = ncclGroupEnd();
    return worst == ncclSuccess ? ended : worst;
  }

  ncclResult_t start(const Call& call) {
    const auto stream = static_cast<cudaStream_t>(call.stream.handle);
    const ncclDataType_t type = type_of(call.in.dtype());
    const auto in = static_cast<size_t>(call.in.elements()), out = static_cast<size_t>(call.out.elements());
    const ncclRedOp_t operation = operation_of(call.reduction);
    switch (call.kind) {
      case Collective::all_reduce:
        return ncclAllReduce(call.in.raw(), call.out.raw(), in, type, operation, handle_, stream);
      case Collective::reduce_scatter:
        return ncclReduceScatter(call.in.raw(), call.out.raw(), out, type, operation, handle_, stream);
      case Collective::all_gather:
        return ncclAllGather(call.in.raw(), call.out.raw(), in, type, handle_, stream);
      case Collective::broadcast:
        return ncclBroadcast(call.in.raw(), call.out.raw(), in, type, call.root, handle_, stream);
      case Collective::all_to_all:
        return exchange(call);
      case Collective::barrier:
        // NCCL has none: a sum of one element that nobody reads is one.
        return ncclAllReduce(flag_.view().raw(), flag_.view().raw(), 1, ncclInt32, ncclSum, handle_, stream);
      case Collective::split:
        throw Error("a split moves no memory");
    }
    throw Error("unknown collective");
  }

  void run(const Call& call) override {
    TIMETRIAL_CHECK(call.stream.device == device_, "{} is for {}, the stream is of {}", name(), device_.text(),
                    call.stream.device.text());
    const timetrial::cuda::DeviceScope scope(device_.index);
    look();
    if (call.kind == Collective::barrier && !flag_.view()) flag_ = OwnedTensor(DType::i32, {1}, device_);
    await(start(call), {deadline(), text_of(call)});
  }

  std::unique_ptr<Communicator> make_split(const Call& call, const std::string& name) override;

  Device device_;
  ncclComm_t handle_ = nullptr;
  cudaEvent_t done_ = nullptr;
  OwnedTensor flag_;
  std::mutex mutex_;
  std::string aborted_;
};

std::unique_ptr<Communicator> NcclCommunicator::make_split(const Call& call, const std::string& name) {
  const timetrial::cuda::DeviceScope scope(device_.index);
  look();
  ncclComm_t part = nullptr;
  ncclConfig_t config = patient_config();
  await(ncclCommSplit(handle_, call.root, rank(), &part, &config), {deadline(), text_of(call)});
  int part_rank = 0, part_size = 0;
  const auto begin = [part](ncclComm_t* handle) {
    *handle = part;
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(part, &state);
    return asked == ncclSuccess ? state : asked;
  };
  if (ncclCommUserRank(part, &part_rank) != ncclSuccess || ncclCommCount(part, &part_size) != ncclSuccess)
    give_up(fmt::format("{}: its rank and size cannot be told", text_of(call)));
  return std::make_unique<NcclCommunicator>(name, part_rank, part_size, device_, Deadlines{deadline(), deadline()},
                                            begin);
}

std::string text_of_id(const ncclUniqueId& id) { return {id.internal, sizeof id.internal}; }

}  // namespace

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "unknown";
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::unique_ptr<Communicator> make_nccl_world(Bootstrap& bootstrap, Device device, const Deadlines& deadlines) {
  ncclUniqueId id = {};
  if (bootstrap.rank() == 0) {
    const ncclResult_t drawn = ncclGetUniqueId(&id);
    if (drawn != ncclSuccess) throw CommError(fmt::format("{} in ncclGetUniqueId", ncclGetErrorString(drawn)));
  }
  const std::string text = bootstrap.all_gather(text_of_id(id)).front();
  TIMETRIAL_CHECK(text.size() == sizeof id.internal, "an NCCL id of {} bytes", text.size());
  std::memcpy(id.internal, text.data(), text.size());
  const auto begin = [&](ncclComm_t* handle) {
    ncclConfig_t config = patient_config();
    return ncclCommInitRankConfig(handle, bootstrap.size(), id, bootstrap.rank(), &config);
  };
  return std::make_unique<NcclCommunicator>("world", bootstrap.rank(), bootstrap.size(), device, deadlines, begin);
}

}  // namespace timetrial::comm::cuda
