// Rank 0 beside peers that say nothing, too little, too much or too early, and that do not read.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>

#include "comm/control_fixture.h"
#include "timetrial/base/clock.h"

namespace timetrial::comm {
namespace {

using namespace fixtures;

// One rank that serves, alone in its run.
ControlSettings alone(const Listener& listener) { return settings_of(listener, 0, 1); }

TEST(ControlServer, DropsStrangersThatSayNothing) {
  const Listener listener;
  ControlSettings settings = alone(listener);
  settings.silence = 0.5;
  const ControlPlane plane(settings);
  RawPeer stranger(listener.port, /*patience=*/8);
  EXPECT_TRUE(stranger.is_closed());
}

TEST(ControlServer, MakesRoomForRanksAmongStrangers) {
  constexpr int kMany = 48;
  const Listener listener;
  std::vector<std::unique_ptr<RawPeer>> strangers;
  const auto errors = as_ranks(2, [&](int rank) {
    if (rank == 1) {
      for (int i = 0; i < kMany; ++i) strangers.push_back(std::make_unique<RawPeer>(listener.port, /*patience=*/4));
      sleep_for(0.2);
    }
    ControlPlane plane(settings_of(listener, rank, 2));
    plane.barrier("met", 10);
    if (rank == 0) {
      EXPECT_TRUE(strangers.front()->is_closed()) << "the oldest makes room";
      EXPECT_TRUE(strangers.back()->is_open());
    }
    plane.barrier("end", 10);
    plane.leave();
  });
  expect_none(errors);
}

// No file is left for a connection that waits: trying again and again at once would take a core.
TEST(ControlServer, WaitsWhenItHasNoFileForAConnection) {
  const Listener listener;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  ControlPlane plane(alone(listener));
  const int unused = socket(AF_INET, SOCK_STREAM, 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const sockaddr_in address = loopback(listener.port);
  EXPECT_EQ(connect(unused, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  sleep_for(0.2);
  const double spent = plane.cost().cpu_seconds;
  sleep_for(1);
  EXPECT_LT(plane.cost().cpu_seconds - spent, 0.1);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  close(unused);
  RawPeer other(listener.port);
  other.hello(7, 9);
  EXPECT_EQ(other.await("over").value("why", "").substr(0, 9), "rank 7 on") << "it accepts again";
}

// What a stopped process leaves unread must not keep rank 0 from ending.
TEST(ControlServer, EndsBesideAPeerThatDoesNotRead) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "tens of megabytes of text take minutes under the thread sanitizer";
#endif
  const Listener listener;
  std::atomic<bool> done{false};
  double seconds = 0;
  std::thread rank_0([&] {
    ControlSettings settings = settings_of(listener, 0, 2);
    settings.silence = 120;
    auto plane = std::make_unique<ControlPlane>(settings);
    EXPECT_EQ(plane->all_gather(std::string(16'000'000, 'x'), "blob", 120).size(), 2U);
    plane->leave();
    const double started = monotonic_seconds();
    plane.reset();
    seconds = monotonic_seconds() - started;
    done = true;
  });
  RawPeer peer(listener.port);
  peer.hello(1, 2);
  EXPECT_FALSE(peer.await("welcome").empty());
  peer.send({{"t", "gather"},
             {"number", 0},
             {"purpose", "blob"},
             {"text", nlohmann::json::binary({'y'})},
             {"deadline", 120.0}});
  for (int i = 0; i < 600 && !done; ++i) sleep_for(0.1);
  peer.hang_up();
  rank_0.join();
  EXPECT_LT(seconds, 10);
}

// A heartbeat that was under way when rank 0 asked tells what was, not what is.
TEST(ControlServer, TakesNoOldHeartbeatForAnAnswer) {
  const Listener listener;
  const auto activity = [](int call) {
    return nlohmann::json{{"phase", "training"},  {"step", 1},  {"call", call}, {"kind", 0}, {"purpose", ""},
                          {"group", "the group"}, {"inside", 1}};
  };
  std::string verdict;
  std::thread rank_0([&] {
    ControlPlane plane(settings_of(listener, 0, 2));
    verdict = plane.fail("a sensor melted", Blame::own);
  });
  RawPeer peer(listener.port);
  peer.hello(1, 2);
  const nlohmann::json ask = peer.await("ask");
  peer.send({{"t", "pulse"}, {"sent", 0.0}, {"activity", activity(3)}});
  peer.send({{"t", "pulse"}, {"sent", 0.0}, {"activity", activity(4)}, {"asked", ask.value("number", 0)}});
  rank_0.join();
  EXPECT_NE(verdict.find("rank 1 waited in all_reduce of the group (call 4)"), std::string::npos) << verdict;
}

}  // namespace
}  // namespace timetrial::comm
