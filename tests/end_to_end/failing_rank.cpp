// A run one of whose ranks fails on purpose in a given call of its data-parallel group: it throws, runs out of memory,
// skips the call, or makes it with another size. SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "apps/exit_code.h"
#include "apps/train_run.h"
#include "fixtures/meddler.h"
#include "timetrial/config/config_file.h"
#include "workloads/gpt_oss_20b/workload.h"

namespace timetrial {
namespace {

constexpr int64_t kOddSize = 7;  // of no call that a run makes

enum class Failure { throws, memory, skips, size };

Failure failure_of(const std::string& name) {
  if (name == "throws") return Failure::throws;
  if (name == "memory") return Failure::memory;
  if (name == "skips") return Failure::skips;
  if (name == "size") return Failure::size;
  throw UserError(fmt::format("\"{}\" is no failure; there are throws, memory, skips and size", name));
}

struct Fault {
  Failure failure;
  int rank;
  int64_t call;  // sequence number in the group "data"
};

// What a leak ends in: no more address space, and somebody asks for some.
void run_out_of_memory() {
  const rlimit none{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
  TIMETRIAL_CHECK(setrlimit(RLIMIT_AS, &none) == 0, "no limit of memory");
  std::vector<double> more(size_t{1} << 26, 1.0);
  throw Error(fmt::format("{} numbers were there after all", more.size()));
}

// Whether the call was made in another way.
bool fail(const Fault& fault, comm::Communicator& inner, const comm::Call& call) {
  if (inner.name() != "data" || inner.rank() != fault.rank || call.sequence != fault.call) return false;
  switch (fault.failure) {
    case Failure::throws:
      throw Error("a sensor melted");
    case Failure::memory:
      run_out_of_memory();
      return false;
    case Failure::skips:
      return true;
    case Failure::size:
      inner.all_reduce(OwnedTensor(DType::f32, {kOddSize}, {}).view(), {call.stream, call.purpose});
      return true;
  }
  throw Error("no such failure");
}

// Ranks of MPI whose communicators fail so.
class FailingBootstrap final : public comm::Bootstrap {
 public:
  explicit FailingBootstrap(Fault fault) : inner_(comm::make_mpi_bootstrap()), fault_(fault) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  int local_rank() const override { return inner_->local_rank(); }
  int local_size() const override { return inner_->local_size(); }
  std::vector<std::string> all_gather(const std::string& mine) override { return inner_->all_gather(mine); }
  std::unique_ptr<comm::Communicator> make_world(Device device, const comm::Deadlines& deadlines) override {
    const auto change = [fault = fault_](comm::Communicator& inner, const comm::Call& call) {
      return fail(fault, inner, call);
    };
    return std::make_unique<testing::Meddler>(inner_->make_world(device, deadlines), change);
  }
  void abort(const std::string& why) noexcept override { inner_->abort(why); }

 private:
  std::unique_ptr<comm::Bootstrap> inner_;
  Fault fault_;
};

}  // namespace
}  // namespace timetrial

int main(int argc, char** argv) {
  using namespace timetrial;
  return apps::guarded_main([&] {
    if (argc < 5) throw UserError("usage: run_failing_rank CONFIG FAILURE RANK CALL [KEY=VALUE ...]");
    const Fault fault{.failure = failure_of(argv[2]), .rank = std::stoi(argv[3]), .call = std::stoll(argv[4])};
    Overrides overrides;
    for (int i = 5; i < argc; ++i) overrides.push_back(split_override(argv[i]));
    const auto workload = gpt_oss_20b::make_workload();
    const std::atomic<int> interrupt{0};
    const Json user = read_config_file(argv[1]);
    return apps::train(
        parse_run_config(user, workload->benchmark(), config_name(argv[1]), overrides), *workload,
        {.environment = read_environment(), .processes = [fault] { return std::make_unique<FailingBootstrap>(fault); }},
        interrupt);
  });
}
