// The control plane with ranks as threads: exchanges, who is named when one does not come, goes or falls silent.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/control_plane.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "timetrial/base/clock.h"

namespace timetrial::comm {
namespace {

// A listening socket on a port of the system's choice, which rank 0 takes over.
struct Listener {
  Listener() : descriptor(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(descriptor, 64), 0);
    EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  int descriptor, port = 0;
};

ControlSettings settings_of(const Listener& listener, int rank, int size) {
  return {.rank = {.launcher = "test", .rank = rank, .size = size, .local_rank = rank, .local_size = size},
          .address = {.host = "127.0.0.1", .port = listener.port},
          .run_id = "test",
          .listener = rank == 0 ? listener.descriptor : -1,
          .init_deadline = 10,
          .silence = 10,
          .pulse = 0.05,
          .wall_clock = {}};
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Runs `body` as every rank in a thread of its own; returns what each threw, "" for nothing.
template <class Body>
std::vector<std::string> as_ranks(int size, const Body& body) {
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        body(rank);
      } catch (const Error& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

void expect_all(const std::vector<std::string>& errors, const std::string& needle) {
  for (size_t rank = 0; rank < errors.size(); ++rank)
    EXPECT_NE(errors[rank].find(needle), std::string::npos) << "rank " << rank << ": " << errors[rank];
}

TEST(ControlPlane, GathersTextsInRankOrder) {
  for (const int size : {1, 2, 3, 7}) {
    const Listener listener;
    const auto errors = as_ranks(size, [&](int rank) {
      ControlPlane plane(settings_of(listener, rank, size));
      EXPECT_EQ(plane.local_rank(), rank);
      EXPECT_EQ(plane.local_size(), size);
      for (int round = 0; round < 3; ++round) {
        const std::string mine = fmt::format("{}{}", std::string(static_cast<size_t>(rank), '\0'), round);
        const std::vector<std::string> all = plane.all_gather(mine, "texts", 10);
        ASSERT_EQ(all.size(), static_cast<size_t>(size));
        for (int other = 0; other < size; ++other)
          EXPECT_EQ(all[static_cast<size_t>(other)],
                    fmt::format("{}{}", std::string(static_cast<size_t>(other), '\0'), round));
      }
      plane.barrier("end", 10);
      plane.leave();
    });
    expect_all(errors, "");
    for (const std::string& error : errors) EXPECT_EQ(error, "");
  }
}

TEST(ControlPlane, HandsOutLargeBytes) {
  const Listener listener;
  const std::string large(3000000, 'x');
  const auto errors = as_ranks(3, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 3));
    if (rank == 1) plane.put("id", large);
    EXPECT_EQ(plane.get("id", 10), large);
    EXPECT_EQ(plane.all_gather(rank == 2 ? large : "", "blob", 10)[2], large);
    plane.barrier("end", 10);
    plane.leave();
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(ControlPlane, NamesWhoDidNotComeToTheRendezvous) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    if (rank == 1) return sleep_for(0.1);
    ControlSettings settings = settings_of(listener, rank, 3);
    settings.init_deadline = 0.6;
    const ControlPlane plane(settings);
  });
  EXPECT_EQ(errors[1], "");
  for (const int rank : {0, 2})
    EXPECT_NE(errors[static_cast<size_t>(rank)].find("rank 1 of 3 did not come to the rendezvous 127.0.0.1:"),
              std::string::npos)
        << errors[static_cast<size_t>(rank)];
}

TEST(ControlPlane, NamesTwoThatClaimOneRank) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    ControlSettings settings = settings_of(listener, rank, 3);
    if (rank == 2) settings.rank.rank = 1;
    const ControlPlane plane(settings);
  });
  expect_all(errors, "two processes say that they are rank 1: pid ");
}

TEST(ControlPlane, NamesSizesThatDiffer) {
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlSettings settings = settings_of(listener, rank, 2);
    if (rank == 1) settings.rank.size = 4;
    const ControlPlane plane(settings);
  });
  expect_all(errors, "says that there are 4 ranks, rank 0 on host");
}

TEST(ControlPlane, TurnsStrangersAwayAndGoesOn) {
  const Listener listener;
  std::string turned_away;
  const auto errors = as_ranks(2, [&](int rank) {
    if (rank == 1) {
      ControlSettings stranger = settings_of(listener, rank, 2);
      stranger.run_id = "another";
      try {
        const ControlPlane plane(stranger);
      } catch (const CommError& error) {
        turned_away = error.what();
      }
      // Bytes that are no message at all.
      const int raw = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<uint16_t>(listener.port));
      EXPECT_EQ(connect(raw, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
      EXPECT_EQ(send(raw, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
      char byte = 0;
      EXPECT_LE(recv(raw, &byte, 1, 0), 0) << "whoever announces a gigabyte is cut off";
      close(raw);
    }
    ControlPlane plane(settings_of(listener, rank, 2));
    plane.barrier("end", 10);
    plane.leave();
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  EXPECT_NE(turned_away.find("belongs to another run"), std::string::npos) << turned_away;
}

TEST(ControlPlane, NamesWhoDoesNotComeToAnExchange) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 3));
    plane.watch([] { return Activity{.phase = "warm-up", .step = 2, .collective = {}}; });
    if (rank == 2) {
      while (plane.verdict().empty()) sleep_for(0.01);
      throw CommError(plane.verdict());
    }
    plane.all_gather("", "config hash", 0.5);
  });
  expect_all(errors, "rank 2 did not come to the exchange \"config hash\" within 0.5 s; rank 2 on host ");
  expect_all(errors, ") is in warm-up, step 2");
}

TEST(ControlPlane, NamesDifferentExchanges) {
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 2));
    plane.all_gather("", rank == 0 ? "seed" : "config hash", 5);
  });
  expect_all(errors, "\"seed\"");
  expect_all(errors, "\"config hash\"");
}

Activity in_gradients(int64_t call, bool inside) {
  return {
      .phase = "training",
      .step = 12,
      .collective = {
          .sequence = call, .kind = Collective::all_reduce, .purpose = "gradients", .inside = inside, .group = "data"}};
}

TEST(ControlPlane, NamesWhoGoesWithoutAWordAndWhatTheOthersWaitedFor) {
  const Listener listener;
  std::mutex mutex;
  std::vector<std::string> told;
  const auto errors = as_ranks(4, [&](int rank) {
    auto plane = std::make_unique<ControlPlane>(settings_of(listener, rank, 4));
    plane->watch([rank] { return in_gradients(rank == 2 ? 16 : 17, rank != 2); });
    plane->when_over([&](const std::string& why) {
      const std::lock_guard lock(mutex);
      told.push_back(why);
    });
    plane->barrier("start", 10);
    sleep_for(0.3);
    if (rank == 2) {
      plane->when_over({});
      plane.reset();
      return;
    }
    plane->all_gather("", "never", 20);
  });
  EXPECT_EQ(errors[2], "");
  ASSERT_EQ(told.size(), 3U);
  for (const int rank : {0, 1, 3}) {
    const std::string& error = errors[static_cast<size_t>(rank)];
    EXPECT_NE(error.find("rank 2 on host "), std::string::npos) << error;
    EXPECT_NE(
        error.find(" ended without a word in training, step 12, after all_reduce \"gradients\" of data (call 16)"),
        std::string::npos)
        << error;
    EXPECT_NE(error.find("; ranks 0, 1 and 3 waited in all_reduce \"gradients\" of data (call 17)"), std::string::npos)
        << error;
    EXPECT_EQ(told.front(), error);
  }
}

TEST(ControlPlane, NamesRankZeroWhenItGoes) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    auto plane = std::make_unique<ControlPlane>(settings_of(listener, rank, 3));
    plane->barrier("start", 10);
    if (rank == 0) return plane.reset();
    plane->all_gather("", "never", 20);
  });
  EXPECT_EQ(errors[0], "");
  for (const size_t rank : {1, 2}) {
    EXPECT_NE(errors[rank].find("rank 0 on host "), std::string::npos) << errors[rank];
    EXPECT_NE(errors[rank].find(" ended without a word"), std::string::npos) << errors[rank];
  }
}

TEST(ControlPlane, TellsAllWhoFailedAndPrefersTheCauseToItsEffects) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 3));
    plane.watch([] { return in_gradients(4, false); });
    plane.barrier("start", 10);
    if (rank == 0) sleep_for(0.3);
    const std::string why = rank == 0 ? plane.fail("no memory left", Blame::own)
                                      : plane.fail("world: rank 0 did not come to a broadcast", Blame::seen);
    throw CommError(why);
  });
  expect_all(errors, "rank 0 on host ");
  expect_all(errors, " failed in training, step 12, after all_reduce \"gradients\" of data (call 4): no memory left");
}

TEST(ControlPlane, ReportsAnEffectWhenNoCauseFollows) {
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 2));
    plane.barrier("start", 10);
    if (rank == 0) throw CommError(plane.fail("world: rank 1 calls broadcast where rank 0 calls barrier", Blame::seen));
    plane.all_gather("", "never", 20);
  });
  expect_all(errors, "world: rank 1 calls broadcast where rank 0 calls barrier (seen by rank 0 on host ");
}

TEST(ControlPlane, NamesWhoFallsSilent) {
  const Listener listener;
  const double started = monotonic_seconds();
  const auto errors = as_ranks(3, [&](int rank) {
    ControlSettings settings = settings_of(listener, rank, 3);
    settings.silence = 0.5;
    // This rank's first heartbeat after the start is late by more than the others allow.
    ControlPlane plane(settings);
    plane.barrier("start", 10);
    plane.watch([rank] {
      if (rank == 1) sleep_for(2);
      return in_gradients(9, true);
    });
    while (rank == 1 && plane.verdict().empty()) sleep_for(0.01);
    plane.all_gather("", "never", 20);
  });
  expect_all(errors, "rank 1 on host ");
  expect_all(errors, " has been silent for 0.5");
  EXPECT_LT(monotonic_seconds() - started, 8);
}

TEST(ControlPlane, LeavingIsNoFailure) {
  const Listener listener;
  const auto errors = as_ranks(3, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 3));
    std::string told;
    plane.barrier("end", 10);
    plane.leave();
    sleep_for(rank == 0 ? 0.0 : 0.3);  // rank 0, which serves, goes first
    EXPECT_EQ(plane.verdict(), "");
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(ControlPlane, MeasuresClocksAndItsOwnCost) {
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlSettings settings = settings_of(listener, rank, 2);
    settings.wall_clock = [rank] { return monotonic_seconds() + (rank == 0 ? 100.25 : 0.0); };
    ControlPlane plane(settings);
    EXPECT_NEAR(plane.clock_offset(), rank == 0 ? 0 : 100.25, 0.02);
    const ControlCost cost = plane.cost();
    EXPECT_GE(cost.pulses, 8);
    EXPECT_GT(cost.round_trip, 0);
    EXPECT_LT(cost.round_trip, 0.1);
    plane.barrier("end", 10);
    plane.leave();
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(ControlPlane, RefusesAPortInUse) {
  const Listener listener;
  try {
    ControlSettings settings = settings_of(listener, 0, 2);
    settings.listener = -1;
    const ControlPlane plane(settings);
    FAIL() << "two listen on one port";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot listen on port"), std::string::npos) << error.what();
  }
}

TEST(ControlPlane, SaysThatNobodyListens) {
  ControlSettings settings;
  {
    const Listener listener;
    settings = settings_of(listener, 1, 2);
    close(listener.descriptor);
  }
  settings.init_deadline = 0.5;
  try {
    const ControlPlane plane(settings);
    FAIL() << "nobody was there";
  } catch (const CommError& error) {
    EXPECT_NE(std::string(error.what()).find("did not reach rank 0 at 127.0.0.1:"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("Connection refused"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace timetrial::comm
