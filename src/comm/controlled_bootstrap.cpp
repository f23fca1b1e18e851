// Where rank 0 listens, and who may speak at the end.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/controlled_bootstrap.h"

#include <chrono>
#include <thread>
#include <utility>

#include "timetrial/base/identity.h"
#include "timetrial/comm/nccl.h"
#include "timetrial/comm/rendezvous.h"

namespace timetrial::comm {

namespace {

// Ranks up to which heartbeats come at their usual pace. Rank 0 serves a star of connections; 1,024 of them took 7 % of
// a core (benchmarks/scaling), and more ranks than that beat slower, so that it stays there.
constexpr double kPulsed = 1024;
constexpr double kSpeech = 1;     // seconds in which rank 1 has seen what another rank has, and printed it
constexpr double kRankZero = 10;  // seconds for rank 0 to leave its collectives, close the log and print

void check_same_start(const Bootstrap& inner, const Environment& environment) {
  if (!environment.rank || environment.rank->size == inner.size()) return;
  throw UserError(
      fmt::format("{} says that there are {} processes, MPI knows {}: each would run alone. Start them with the mpirun "
                  "of the MPI this program was built with (mpirun -np {} timetrial-worker CONFIG), or with srun "
                  "--mpi=pmix --ntasks={} timetrial-worker CONFIG",
                  environment.rank->launcher, environment.rank->size, inner.size(), environment.rank->size,
                  environment.rank->size));
}

ControlSettings settings_of(Bootstrap* inner, const Environment& environment, const Deadlines& deadlines) {
  ControlSettings settings;
  settings.init_deadline = deadlines.init;
  settings.silence = deadlines.call;
  settings.pulse *= std::max(1.0, (inner ? inner->size() : environment.rank ? environment.rank->size : 1) / kPulsed);
  if (inner == nullptr) {
    TIMETRIAL_CHECK(environment.rank.has_value(), "a process without a rank");
    if (!environment.rendezvous)
      throw UserError(fmt::format("{} does not tell where rank 0 is: set MASTER_ADDR and MASTER_PORT for every rank",
                                  environment.rank->launcher));
    settings.rank = *environment.rank;
    settings.address = *environment.rendezvous;
    settings.run_id = environment.run_id;
    return settings;
  }
  check_same_start(*inner, environment);
  settings.rank = {.launcher = environment.rank ? environment.rank->launcher : "MPI",
                   .rank = inner->rank(),
                   .size = inner->size(),
                   .local_rank = inner->local_rank(),
                   .local_size = inner->local_size()};
  std::string mine;
  if (inner->rank() == 0) {
    ReservedPort port;
    settings.address.port = port.number();
    settings.listener = port.listen();
    mine = fmt::format("{}:{} {}", host_name(), port.number(), new_run_id());
  }
  const std::string found = inner->all_gather(mine).front();
  const size_t space = found.find(' '), colon = found.rfind(':', space);
  // Ranks of one host need no name service.
  settings.address = {.host = inner->local_size() == inner->size() ? "127.0.0.1" : found.substr(0, colon),
                      .port = std::stoi(found.substr(colon + 1))};
  settings.run_id = found.substr(space + 1);
  return settings;
}

}  // namespace

ControlledBootstrap::ControlledBootstrap(std::unique_ptr<Bootstrap> inner, const Environment& environment,
                                         const Deadlines& deadlines)
    : inner_(std::move(inner)),
      deadlines_(deadlines),
      control_(std::make_unique<ControlPlane>(settings_of(inner_.get(), environment, deadlines))) {
  // What waits in a collective gives up at once when the run is over.
  control_->when_over([this](const std::string& why) { tell(why); });
}

ControlledBootstrap::~ControlledBootstrap() { control_.reset(); }

int ControlledBootstrap::rank() const { return control_->rank(); }
int ControlledBootstrap::size() const { return control_->size(); }
int ControlledBootstrap::local_rank() const { return control_->local_rank(); }
int ControlledBootstrap::local_size() const { return control_->local_size(); }

std::vector<std::string> ControlledBootstrap::all_gather(const std::string& mine) {
  return control_->all_gather(mine, "texts", deadlines_.init);
}

std::unique_ptr<Communicator> ControlledBootstrap::make_world(Device device, const Deadlines& deadlines) {
  if (size() == 1) return make_single("world");
  if (device.kind == DeviceKind::cuda) return make_nccl_world(*this, device, deadlines);
  if (!inner_)
    throw UserError(
        "CPU ranks in several processes need MPI, which this program was built without: install "
        "libopenmpi-dev and openmpi-bin and build again, or use threads of one process (--ranks)");
  return inner_->make_world(device, deadlines);
}

void ControlledBootstrap::abort(const std::string& why) noexcept { end(why, Blame::own); }

std::string ControlledBootstrap::end(const std::string& why, Blame blame) noexcept {
  std::string verdict = control_->fail(why, blame);
  tell(verdict);
  return verdict;
}

void ControlledBootstrap::when_over(std::function<void(const std::string&)> over) {
  const std::lock_guard lock(mutex_);
  if (!over_.empty()) over(over_);
  listeners_.push_back(std::move(over));
}

void ControlledBootstrap::tell(const std::string& why) {
  if (inner_) inner_->abort(why);
  const std::lock_guard lock(mutex_);
  if (over_.empty()) over_ = why;
  for (const auto& listener : listeners_) listener(over_);
}

bool ControlledBootstrap::speaks() const { return rank() == (control_->lost_rank_zero() ? 1 : 0); }

void ControlledBootstrap::let_speak() noexcept {
  if (control_->lost_rank_zero()) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kSpeech));
  } else {
    control_->outlast_rank_zero(kRankZero);
  }
}

void ControlledBootstrap::leave() noexcept { control_->leave(); }

}  // namespace timetrial::comm
