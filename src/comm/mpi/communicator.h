// MPI behind the communicator interface.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "comm/mpi/runtime.h"

namespace timetrial::comm::mpi {

// Owns `group`, whose ranks all make this object together.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(std::shared_ptr<Runtime> runtime, MPI_Comm group, const std::string& name, double deadline);
  ~MpiCommunicator() override;
  void abort(const std::string& why) noexcept override;

 private:
  void run(const Call& call) override;
  std::unique_ptr<Communicator> make_split(const Call& call, const std::string& name) override;
  void agree(const Call& call);
  void agree_on_pieces(const Call& call);
  MPI_Request start(const Call& call);
  void finish(MPI_Request request, const Call& call);
  [[noreturn]] void fail(const std::string& why);

  std::shared_ptr<Runtime> runtime_;
  MPI_Comm group_;
  Board board_;
  std::mutex mutex_;
  std::string aborted_;
  std::vector<int> counts_[4];  // of the all_to_all under way: out, out offsets, in, in offsets
};

}  // namespace timetrial::comm::mpi
