// Each call: compare with everybody's, start MPI's own non-blocking collective, wait with a deadline.
// SPDX-License-Identifier: Apache-2.0
#include "comm/mpi/communicator.h"

#include <climits>
#include <cstring>

#include "comm/agreement.h"

namespace timetrial::comm::mpi {

namespace {

// What every rank shows the others before a call.
struct Header {
  Signature signature;
  char purpose[40];
};

MPI_Comm owned(MPI_Comm group) {
  TIMETRIAL_MPI(MPI_Comm_set_errhandler(group, MPI_ERRORS_RETURN));
  return group;
}

int rank_in(MPI_Comm group) {
  int rank = 0;
  TIMETRIAL_MPI(MPI_Comm_rank(group, &rank));
  return rank;
}

int size_of_group(MPI_Comm group) {
  int size = 0;
  TIMETRIAL_MPI(MPI_Comm_size(group, &size));
  return size;
}

int count_of(int64_t elements) {
  TIMETRIAL_CHECK(elements <= INT_MAX, "{} elements in one MPI call, at most {}", elements, INT_MAX);
  return static_cast<int>(elements);
}

}  // namespace

MpiCommunicator::MpiCommunicator(std::shared_ptr<Runtime> runtime, MPI_Comm group, const std::string& name,
                                 double deadline)
    : Communicator(name, rank_in(group), size_of_group(group), deadline),
      runtime_(std::move(runtime)),
      group_(owned(group)),
      board_(group_) {}

MpiCommunicator::~MpiCommunicator() {
  if (!runtime_->usable()) return;
  board_.release();
  MPI_Comm_free(&group_);
}

void MpiCommunicator::abort(const std::string& why) noexcept {
  runtime_->fail();
  try {
    const std::lock_guard lock(mutex_);
    if (aborted_.empty()) aborted_ = why;
  } catch (const std::exception&) {
    // No memory for the text; the runtime is marked all the same.
  }
}

void MpiCommunicator::fail(const std::string& why) {
  runtime_->fail();
  throw CommError(fmt::format("{}: {}", name(), why));
}

// A request that is given up stays open, but MPI writes into its memory only inside calls, and none follows.
void MpiCommunicator::finish(MPI_Request request, const Call& call) {
  if (wait_for(request, deadline(), *runtime_)) return;
  {
    const std::lock_guard lock(mutex_);
    if (!aborted_.empty()) throw CommError(aborted_);
  }
  runtime_->fail();
  throw LateError(fmt::format("{}: {} was not done within {:.3g} s: {}", name(), text_of(call), deadline(),
                              board_.late_text(call.sequence)));
}

// Without this a call of another size or kind would hang, or mix up numbers, in silence.
void MpiCommunicator::agree(const Call& call) {
  Header mine{.signature = signature_of(call), .purpose = {}};
  call.purpose.copy(mine.purpose, sizeof mine.purpose - 1);
  std::vector<Header> all(static_cast<size_t>(size()));
  MPI_Request request = MPI_REQUEST_NULL;
  TIMETRIAL_MPI(MPI_Iallgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, group_, &request));
  finish(request, call);
  std::vector<Signature> signatures;
  for (const Header& header : all) signatures.push_back(header.signature);
  const std::string wrong =
      disagreement(name(), signatures, [&](int rank) { return std::string(all[static_cast<size_t>(rank)].purpose); });
  if (wrong.empty()) return;
  runtime_->fail();
  throw CommError(wrong);
}

void MpiCommunicator::agree_on_pieces(const Call& call) {
  std::vector<int64_t> sent(call.in_counts.begin(), call.in_counts.end()), theirs(sent.size());
  MPI_Request request = MPI_REQUEST_NULL;
  TIMETRIAL_MPI(MPI_Ialltoall(sent.data(), 1, MPI_INT64_T, theirs.data(), 1, MPI_INT64_T, group_, &request));
  finish(request, call);
  for (size_t from = 0; from < theirs.size(); ++from) {
    if (theirs[from] != call.out_counts[from])
      fail(fmt::format("in {} rank {} sends {} elements to rank {}, which expects {}", text_of(call), from,
                       theirs[from], rank(), call.out_counts[from]));
  }
}

MPI_Request MpiCommunicator::start(const Call& call) {
  const MPI_Datatype type = runtime_->type_of(call.in.dtype());
  const MPI_Op operation = runtime_->operation_of(call.in.dtype(), call.reduction);
  const int in = count_of(call.in.elements()), out = count_of(call.out.elements());
  MPI_Request request = MPI_REQUEST_NULL;
  switch (call.kind) {
    case Collective::all_reduce:
      TIMETRIAL_MPI(MPI_Iallreduce(MPI_IN_PLACE, call.out.raw(), out, type, operation, group_, &request));
      break;
    case Collective::reduce_scatter:
      TIMETRIAL_MPI(MPI_Ireduce_scatter_block(call.in.raw(), call.out.raw(), out, type, operation, group_, &request));
      break;
    case Collective::all_gather:
      TIMETRIAL_MPI(MPI_Iallgather(call.in.raw(), in, type, call.out.raw(), in, type, group_, &request));
      break;
    case Collective::broadcast:
      TIMETRIAL_MPI(MPI_Ibcast(call.out.raw(), out, type, call.root, group_, &request));
      break;
    case Collective::all_to_all: {
      for (const auto& [counts, given] : {std::pair(0, call.out_counts), std::pair(2, call.in_counts)}) {
        std::vector<int>&sizes = counts_[counts], &offsets = counts_[counts + 1];
        sizes.clear();
        offsets.clear();
        int64_t offset = 0;
        for (const int64_t count : given) {
          sizes.push_back(count_of(count));
          offsets.push_back(count_of(offset));
          offset += count;
        }
      }
      TIMETRIAL_MPI(MPI_Ialltoallv(call.in.raw(), counts_[2].data(), counts_[3].data(), type, call.out.raw(),
                                   counts_[0].data(), counts_[1].data(), type, group_, &request));
      break;
    }
    case Collective::barrier:
      TIMETRIAL_MPI(MPI_Ibarrier(group_, &request));
      break;
    case Collective::split:
      throw Error("a split moves no memory");
  }
  return request;
}

void MpiCommunicator::run(const Call& given) {
  TIMETRIAL_CHECK(given.stream.device.kind == DeviceKind::cpu, "MPI exchanges host memory alone here, not {}",
                  given.stream.device.text());
  {
    const std::lock_guard lock(mutex_);
    if (!aborted_.empty()) throw CommError(aborted_);
  }
  board_.post(given);
  agree(given);
  if (given.kind == Collective::all_to_all) agree_on_pieces(given);
  Call call = given;
  // MPI forbids output inside input: a reduce_scatter in place goes through memory of its own, an all_gather in place
  // has a word for it.
  const bool in_place =
      call.out.raw() >= call.in.raw() && call.out && call.in &&
      static_cast<const std::byte*>(call.out.raw()) < static_cast<const std::byte*>(call.in.raw()) + call.in.bytes();
  if (call.kind == Collective::reduce_scatter && in_place) {
    const OwnedTensor sum(call.out.dtype(), call.out.shape());
    call.out = sum;
    finish(start(call), call);
    std::memcpy(given.out.raw(), sum.view().raw(), sum.view().bytes());
    return;
  }
  if (call.kind == Collective::all_gather) {
    const size_t own = call.in.bytes() * static_cast<size_t>(rank());
    if (static_cast<std::byte*>(call.out.raw()) + own == call.in.raw()) {
      MPI_Request request = MPI_REQUEST_NULL;
      TIMETRIAL_MPI(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, call.out.raw(), count_of(call.in.elements()),
                                   runtime_->type_of(call.in.dtype()), group_, &request));
      return finish(request, call);
    }
  }
  finish(start(call), call);
}

std::unique_ptr<Communicator> MpiCommunicator::make_split(const Call& call, const std::string& name) {
  board_.post(call);
  agree(call);
  MPI_Comm part = MPI_COMM_NULL;
  TIMETRIAL_MPI(MPI_Comm_split(group_, call.root, rank(), &part));
  if (size_of_group(part) > 1) return std::make_unique<MpiCommunicator>(runtime_, part, name, deadline());
  MPI_Comm_free(&part);
  return make_single(name);
}

}  // namespace timetrial::comm::mpi
