// Ranks that mpirun or srun started: who they are and small messages between them.
// SPDX-License-Identifier: Apache-2.0
#include "comm/mpi/bootstrap.h"

#include "comm/mpi/communicator.h"
#include "timetrial/comm/nccl.h"

namespace timetrial::comm::mpi {

namespace {

class MpiBootstrap final : public Bootstrap {
 public:
  MpiBootstrap() : runtime_(std::make_shared<Runtime>()) {
    TIMETRIAL_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
    TIMETRIAL_MPI(MPI_Comm_size(MPI_COMM_WORLD, &size_));
    MPI_Comm host = MPI_COMM_NULL;
    TIMETRIAL_MPI(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host));
    TIMETRIAL_MPI(MPI_Comm_rank(host, &local_rank_));
    TIMETRIAL_MPI(MPI_Comm_size(host, &local_size_));
    MPI_Comm_free(&host);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  std::vector<std::string> all_gather(const std::string& mine) override {
    const int length = static_cast<int>(mine.size());
    std::vector<int> lengths(static_cast<size_t>(size_)), offsets;
    MPI_Request request = MPI_REQUEST_NULL;
    TIMETRIAL_MPI(MPI_Iallgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, MPI_COMM_WORLD, &request));
    finish(request);
    int total = 0;
    for (const int one : lengths) {
      offsets.push_back(total);
      total += one;
    }
    std::string joined(static_cast<size_t>(total), '\0');
    TIMETRIAL_MPI(MPI_Iallgatherv(mine.data(), length, MPI_CHAR, joined.data(), lengths.data(), offsets.data(),
                                  MPI_CHAR, MPI_COMM_WORLD, &request));
    finish(request);
    std::vector<std::string> all;
    for (size_t rank = 0; rank < lengths.size(); ++rank)
      all.push_back(joined.substr(static_cast<size_t>(offsets[rank]), static_cast<size_t>(lengths[rank])));
    return all;
  }

  std::unique_ptr<Communicator> make_world(Device device, const Deadlines& deadlines) override {
    if (size_ == 1) return make_single("world");
    if (device.kind == DeviceKind::cuda) return make_nccl_world(*this, device, deadlines);
    MPI_Comm group = MPI_COMM_NULL;
    TIMETRIAL_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &group));
    auto world = std::make_unique<MpiCommunicator>(runtime_, group, "world", deadlines.init);
    world->barrier({{}, "start"});
    world->set_deadline(deadlines.call);
    return world;
  }

  void abort(const std::string&) noexcept override { runtime_->fail(); }

 private:
  void finish(MPI_Request& request) {
    if (wait_for(request, Deadlines().init, *runtime_)) return;
    runtime_->fail();
    throw CommError(fmt::format("a rank did not come to an exchange of texts within {:.3g} s", Deadlines().init));
  }

  std::shared_ptr<Runtime> runtime_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

}  // namespace

std::string version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  TIMETRIAL_MPI(MPI_Get_library_version(text, &length));
  const std::string_view whole(text, static_cast<size_t>(length));
  return std::string(whole.substr(0, whole.find_first_of(",\n")));
}

std::unique_ptr<Bootstrap> make_bootstrap() { return std::make_unique<MpiBootstrap>(); }

}  // namespace timetrial::comm::mpi
