// NCCL communicators that never block the host for ever: every wait has a deadline, and ends with an abort of all that
// the rank has.
// SPDX-License-Identifier: Apache-2.0
#include "comm/cuda/nccl_world.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <exception>
#include <memory>

#include "comm/cuda/nccl_family.h"
#include "comm/patience.h"
#include "device/cuda/check.h"

namespace timetrial::comm::cuda {

namespace {

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
  // A rank's place in a group whose handle is ready. The handle is the family's until this destroys it.
  struct Seat {
    ncclComm_t handle;
    int rank, size;
    Device device;
    std::shared_ptr<NcclFamily> family;
  };
  NcclCommunicator(const std::string& name, const Seat& seat, double deadline)
      : Communicator(name, seat.rank, seat.size, deadline),
        device_(seat.device),
        family_(seat.family),
        handle_(seat.handle) {
    const timetrial::cuda::DeviceScope scope(device_.index);
    TIMETRIAL_CUDA(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming));
  }

  // Without an error the ranks part as they met, because an abort could cut off a peer that still needs this rank. What
  // is late, or ends with an error, is aborted.
  ~NcclCommunicator() override {
    cudaEventDestroy(done_);
    if (family_->ended()) return;
    try {
      if (std::uncaught_exceptions() > 0) give_up("this rank ends with an error");
      look();
      family_->await(handle_, ncclCommFinalize(handle_), {deadline(), "parting", name()});
      family_->remove(handle_);
      ncclCommDestroy(handle_);
    } catch (const std::exception&) {
      // The family has ended; who still needs this rank finds out as after any other error.
    }
  }

  void abort(const std::string& why) noexcept override { family_->tell(why); }

  // Waits for the stream alone, with an eye on the library and on abort().
  void wait(StreamRef stream) override {
    const timetrial::cuda::DeviceScope scope(device_.index);
    look();
    TIMETRIAL_CUDA(cudaEventRecord(done_, static_cast<cudaStream_t>(stream.handle)));
    wait_until([this] {
      const cudaError_t state = cudaEventQuery(done_);
      if (state == cudaErrorNotReady) {
        static_cast<void>(cudaGetLastError());  // "not yet" is no error; do not leave one behind
        return false;
      }
      TIMETRIAL_CUDA(state);
      return true;
    });
  }

  void wait_until(const std::function<bool()>& done) override {
    const timetrial::cuda::DeviceScope scope(device_.index);
    Patience patience(deadline());
    for (const Looks looks; !done(); looks.pause()) {
      look();
      if (!patience.over()) continue;
      const Position last = position();
      throw LateError(family_->end(
          fmt::format("{}: the device did not get past {} \"{}\" (call {}) within {:.3g} s: another rank did not come",
                      name(), name_of(last.kind), last.purpose, last.sequence, deadline())));
    }
  }

 private:
  [[noreturn]] void give_up(const std::string& why) {
    throw CommError(family_->end(fmt::format("{}: {}", name(), why)));
  }

  // Throws what abort() said, or what NCCL found out in any group of this rank since it was last asked.
  void look() {
    if (family_->ended()) throw CommError(family_->told());
    if (const std::string why = family_->trouble(); !why.empty()) give_up(why);
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
    family_->await(handle_, start(call), {deadline(), text_of(call), name()});
  }

  std::unique_ptr<Communicator> make_split(const Call& call, const std::string& name) override;

  Device device_;
  std::shared_ptr<NcclFamily> family_;
  ncclComm_t handle_;
  cudaEvent_t done_ = nullptr;
  OwnedTensor flag_;
};

std::unique_ptr<Communicator> NcclCommunicator::make_split(const Call& call, const std::string& name) {
  const timetrial::cuda::DeviceScope scope(device_.index);
  look();
  const NcclFamily::Limit limit{deadline(), text_of(call), this->name()};
  ncclConfig_t config = patient_config();
  // The child's handle is there when the parent is done with the split, and not before (NVIDIA/nccl, issue 1472); then
  // the child has to become ready itself before it can be asked anything.
  Seat seat{.handle = nullptr, .rank = 0, .size = 0, .device = device_, .family = family_};
  family_->await(handle_, ncclCommSplit(handle_, call.root, rank(), &seat.handle, &config), limit);
  family_->add(seat.handle);
  family_->await(seat.handle, ncclInProgress, limit);
  if (ncclCommUserRank(seat.handle, &seat.rank) != ncclSuccess || ncclCommCount(seat.handle, &seat.size) != ncclSuccess)
    give_up(fmt::format("{}: its rank and size cannot be told", text_of(call)));
  return std::make_unique<NcclCommunicator>(name, seat, deadline());
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
  NcclCommunicator::Seat seat{.handle = nullptr,
                              .rank = bootstrap.rank(),
                              .size = bootstrap.size(),
                              .device = device,
                              .family = std::make_shared<NcclFamily>()};
  bootstrap.when_over([family = std::weak_ptr(seat.family)](const std::string& why) {
    if (const auto there = family.lock()) there->tell(why);
  });
  const timetrial::cuda::DeviceScope scope(device.index);
  ncclConfig_t config = patient_config();
  const ncclResult_t begun = ncclCommInitRankConfig(&seat.handle, bootstrap.size(), id, bootstrap.rank(), &config);
  seat.family->add(seat.handle);
  seat.family->await(seat.handle, begun,
                     {deadlines.init, fmt::format("making the group of {} ranks", bootstrap.size()), "world"});
  return std::make_unique<NcclCommunicator>("world", seat, deadlines.call);
}

}  // namespace timetrial::comm::cuda
