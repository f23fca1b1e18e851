// What the control plane costs: time to meet, time of an exchange, processor time while nothing happens. Every rank is
// a thread pair of this process, so all meet over the loopback interface. SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "timetrial/base/clock.h"
#include "timetrial/base/open_files.h"
#include "timetrial/comm/control_plane.h"

namespace {

using namespace timetrial;

constexpr int kPort = 29371;
constexpr int kExchanges = 20;
constexpr double kIdle = 10;  // seconds

// Every connection is two files of this process.
void allow_files(int ranks) {
  const uint64_t wanted = static_cast<uint64_t>(ranks) * 8 + 256, allowed = allow_open_files(wanted);
  if (allowed < wanted)
    throw UserError(fmt::format("{} ranks need {} open files, the limit is {}", ranks, wanted, allowed));
}

void on_all(int ranks, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) threads.emplace_back([&body, rank] { body(rank); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) try {
  const int ranks = argc == 2 ? std::stoi(argv[1]) : 0;
  if (ranks < 2) throw UserError("usage: control_plane_cost RANKS, at least 2");
  allow_files(ranks);
  std::vector<std::optional<comm::ControlPlane>> planes(static_cast<size_t>(ranks));
  const double started = monotonic_seconds();
  on_all(ranks, [&](int rank) {
    planes[static_cast<size_t>(rank)].emplace(comm::ControlSettings{
        .rank = {.launcher = "cost", .rank = rank, .size = ranks, .local_rank = rank, .local_size = ranks},
        .address = {.host = "127.0.0.1", .port = kPort},
        .run_id = "cost",
        .init_deadline = 120,
        .silence = 120,
        .wall_clock = {}});
  });
  const double met = monotonic_seconds();
  on_all(ranks, [&](int rank) {
    for (int i = 0; i < kExchanges; ++i)
      planes[static_cast<size_t>(rank)]->all_gather(std::string(64, 'x'), "exchange", 120);
  });
  const double exchanged = monotonic_seconds();
  const auto seconds_of = [&](size_t rank) { return planes[rank]->cost().cpu_seconds; };
  std::this_thread::sleep_for(std::chrono::duration<double>(1.5));  // costs are told once a heartbeat
  const double first = seconds_of(0), other = seconds_of(1), idle = monotonic_seconds();
  std::this_thread::sleep_for(std::chrono::duration<double>(kIdle));
  const double span = monotonic_seconds() - idle;
  const Json cost{{"ranks", ranks},
                  {"rendezvous_seconds", met - started},
                  {"exchange_seconds", (exchanged - met) / kExchanges},
                  {"rank_0_share", (seconds_of(0) - first) / span},
                  {"other_share", (seconds_of(1) - other) / span},
                  {"round_trip_seconds", planes[1]->cost().round_trip}};
  std::printf("%s\n", cost.dump(2).c_str());
  for (auto& plane : planes) plane->leave();
  for (size_t rank = planes.size(); rank-- > 0;) planes[rank].reset();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "control_plane_cost: %s\n", error.what());
  return 2;
}
