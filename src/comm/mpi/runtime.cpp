// Initialising MPI, its types for bf16, waiting with a deadline, and the board of one host.
// SPDX-License-Identifier: Apache-2.0
#include "comm/mpi/runtime.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <thread>

#include "comm/patience.h"

#ifdef __SANITIZE_ADDRESS__
// The sanitizer asks at the end whether to look for leaks. Open MPI leaves some, and has unloaded the plugins that made
// them; our own are looked for in every process that does without MPI.
extern "C" int __lsan_is_turned_off() {
  int initialised = 0;
  MPI_Initialized(&initialised);
  return initialised;
}
#endif

namespace timetrial::comm::mpi {

namespace {

template <bool kMaximum>
void combine_bf16(void* in, void* in_out, int* count, MPI_Datatype*) {
  const auto* x = static_cast<const bfloat16*>(in);
  auto* y = static_cast<bfloat16*>(in_out);
  for (int i = 0; i < *count; ++i) {
    const float a = to_float(x[i]), b = to_float(y[i]);
    y[i] = to_bfloat16(kMaximum ? std::max(a, b) : a + b);
  }
}

constexpr size_t kTextLength = 96;

}  // namespace

void throw_mpi_error(int code, const char* call, std::source_location location) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(fmt::format("{} in {}", std::string(text, static_cast<size_t>(length)), call), location);
}

Runtime::Runtime() {
  int provided = 0;
  TIMETRIAL_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided));
  TIMETRIAL_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  if (provided < MPI_THREAD_SERIALIZED)
    throw UserError("this MPI library cannot be called from a second thread; use Open MPI as Debian builds it");
  TIMETRIAL_MPI(MPI_Type_contiguous(static_cast<int>(sizeof(bfloat16)), MPI_BYTE, &bf16_));
  TIMETRIAL_MPI(MPI_Type_commit(&bf16_));
  TIMETRIAL_MPI(MPI_Op_create(combine_bf16<false>, 1, &bf16_sum_));
  TIMETRIAL_MPI(MPI_Op_create(combine_bf16<true>, 1, &bf16_max_));
}

Runtime::~Runtime() {
  if (!usable()) return;
  MPI_Op_free(&bf16_sum_);
  MPI_Op_free(&bf16_max_);
  MPI_Type_free(&bf16_);
  MPI_Finalize();
}

bool Runtime::usable() const { return !failed_ && std::uncaught_exceptions() == 0; }

MPI_Datatype Runtime::type_of(DType type) const {
  switch (type) {
    case DType::f32:
      return MPI_FLOAT;
    case DType::f64:
      return MPI_DOUBLE;
    case DType::bf16:
      return bf16_;
    case DType::i32:
      return MPI_INT32_T;
    case DType::i64:
      return MPI_INT64_T;
  }
  throw Error("unknown element type");
}

MPI_Op Runtime::operation_of(DType type, Reduction reduction) const {
  switch (reduction) {
    case Reduction::sum:
      return type == DType::bf16 ? bf16_sum_ : MPI_SUM;
    case Reduction::max:
      return type == DType::bf16 ? bf16_max_ : MPI_MAX;
  }
  throw Error("unknown reduction");
}

// MPI makes progress only inside its calls, so this asks again and again: first giving way to whoever wants the core,
// then, when the others are far, sleeping in between.
bool wait_for(MPI_Request& request, double deadline, const Runtime& runtime) {
  constexpr std::chrono::milliseconds kEager(2);  // time, not turns: on a busy core one turn may cost milliseconds
  const auto started = std::chrono::steady_clock::now();
  Patience patience(deadline);
  for (;;) {
    int done = 0;
    TIMETRIAL_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return true;
    if (patience.over() || runtime.failed()) return false;
    if (std::chrono::steady_clock::now() - started < kEager) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

struct Board::Entry {
  std::atomic<int64_t> sequence;  // the highest call this rank has come to
  char text[kTextLength];
};

Board::Board(MPI_Comm group) {
  TIMETRIAL_MPI(MPI_Comm_split_type(group, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host_));
  TIMETRIAL_MPI(MPI_Comm_size(group, &group_size_));
  int rank = 0, size = 0;
  TIMETRIAL_MPI(MPI_Comm_rank(group, &rank));
  TIMETRIAL_MPI(MPI_Comm_rank(host_, &own_));
  TIMETRIAL_MPI(MPI_Comm_size(host_, &size));
  ranks_.resize(static_cast<size_t>(size));
  TIMETRIAL_MPI(MPI_Allgather(&rank, 1, MPI_INT, ranks_.data(), 1, MPI_INT, host_));
  void* memory = nullptr;
  TIMETRIAL_MPI(MPI_Win_allocate_shared(sizeof(Entry), 1, MPI_INFO_NULL, host_, &memory, &window_));
  new (memory) Entry{.sequence = -1, .text = {}};
  for (int local = 0; local < size; ++local) {
    MPI_Aint bytes = 0;
    int unit = 0;
    void* theirs = nullptr;
    TIMETRIAL_MPI(MPI_Win_shared_query(window_, local, &bytes, &unit, &theirs));
    entries_.push_back(static_cast<Entry*>(theirs));
  }
  TIMETRIAL_MPI(MPI_Barrier(host_));  // nobody reads an entry that is not there yet
}

Board::~Board() = default;

void Board::release() {
  MPI_Win_free(&window_);
  MPI_Comm_free(&host_);
}

Board::Entry& Board::entry(int local) const { return *entries_.at(static_cast<size_t>(local)); }

void Board::post(const Call& call) {
  Entry& mine = entry(own_);
  const std::string text = text_of(call).substr(0, kTextLength - 1);
  std::memcpy(mine.text, text.c_str(), text.size() + 1);
  mine.sequence.store(call.sequence, std::memory_order_release);
}

std::string Board::late_text(int64_t sequence) const {
  std::vector<int> late, here;
  std::string last;
  for (size_t local = 0; local < entries_.size(); ++local) {
    const Entry& theirs = *entries_[local];
    const int64_t at = theirs.sequence.load(std::memory_order_acquire);
    (at < sequence ? late : here).push_back(ranks_[local]);
    if (at >= sequence || late.size() != 1) continue;
    // A rank that moves while it is read leaves a mixed text, never one without an end.
    char text[kTextLength];
    std::memcpy(text, theirs.text, kTextLength);
    text[kTextLength - 1] = 0;
    last = at < 0 ? "it made no call before" : fmt::format("the last call of rank {} was {}", late.front(), text);
  }
  const auto elsewhere = group_size_ - static_cast<int>(entries_.size());
  if (late.empty())
    return elsewhere > 0 ? fmt::format("no rank of this host is late; look among the {} on other hosts", elsewhere)
                         : "every rank came, and one stopped inside";
  return fmt::format("{} did not come, {} waited; {}{}", ranks_text(late), ranks_text(here), last,
                     elsewhere > 0 ? fmt::format("; nothing is known of {} ranks on other hosts", elsewhere) : "");
}

}  // namespace timetrial::comm::mpi
