// The MPI library of this process: initialised, checked, waited for, and left alone after a failure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <source_location>
#include <string>

#include "timetrial/comm/communicator.h"

namespace timetrial::comm::mpi {

// Throws CommError with MPI's own words.
[[noreturn]] void throw_mpi_error(int code, const char* call,
                                  std::source_location location = std::source_location::current());

// One per process, kept alive by everything that uses it.
class Runtime {
 public:
  Runtime();
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // After this nothing collective is called any more, not even to free or finalize.
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }
  // Also false while an exception is on its way: the other ranks cannot be counted on.
  bool usable() const;

  MPI_Datatype type_of(DType type) const;
  MPI_Op operation_of(DType type, Reduction reduction) const;

 private:
  std::atomic<bool> failed_{false};
  MPI_Datatype bf16_ = MPI_DATATYPE_NULL;
  MPI_Op bf16_sum_ = MPI_OP_NULL, bf16_max_ = MPI_OP_NULL;
};

// Waits for a request; false when `deadline` seconds were not enough, or the runtime has failed. The request then stays
// open.
bool wait_for(MPI_Request& request, double deadline, const Runtime& runtime);

// Who has come how far, of the ranks on this host: shared memory that can be read whatever its owner does.
class Board {
 public:
  explicit Board(MPI_Comm group);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  void release();  // collective; without it the memory stays until the process ends

  void post(const Call& call);
  // The ranks of this host that have not come to call `sequence`, and what they did last.
  std::string late_text(int64_t sequence) const;

 private:
  struct Entry;
  Entry& entry(int local) const;
  MPI_Comm host_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  std::vector<Entry*> entries_;
  std::vector<int> ranks_;  // in the group, of the ranks on this host
  int own_ = 0, group_size_ = 0;
};

}  // namespace timetrial::comm::mpi

// Throws CommError unless the call returns MPI_SUCCESS.
#define TIMETRIAL_MPI(call)                                                            \
  do {                                                                                 \
    if (const int timetrial_code = (call); timetrial_code != MPI_SUCCESS) [[unlikely]] \
      ::timetrial::comm::mpi::throw_mpi_error(timetrial_code, #call);                  \
  } while (false)
