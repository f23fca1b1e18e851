// The control plane with ranks as threads: exchanges, who is named when one does not come, goes or falls silent.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/control_plane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "comm/control_fixture.h"
#include "timetrial/base/clock.h"
#include "timetrial/comm/rendezvous.h"

namespace timetrial::comm {
namespace {

using namespace fixtures;

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
    expect_none(errors);
  }
}

TEST(ControlPlane, HandsOutLargeBytes) {
  const Listener listener;
  const std::string large(3000000, 'x');
  const auto errors = as_ranks(3, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 3));
    EXPECT_EQ(plane.all_gather(rank == 2 ? large : "", "blob", 10)[2], large);
    plane.barrier("end", 10);
    plane.leave();
  });
  expect_none(errors);
}

TEST(ControlPlane, SaysWhenAnExchangeIsMoreThanAMessageHolds) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "tens of megabytes of text take minutes under the thread sanitizer";
#endif
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlSettings settings = settings_of(listener, rank, 2);
    settings.silence = 120;  // so many bytes take a while on a busy machine
    ControlPlane plane(settings);
    plane.all_gather(std::string(34'000'000, 'x'), "blob", 120);
  });
  expect_all(errors, "the exchange \"blob\" is larger than a message may be (67108864 bytes)");
}

TEST(ControlPlane, SaysWhenATextIsMoreThanAMessageHolds) {
  const Listener listener;
  const auto errors = as_ranks(2, [&](int rank) {
    ControlPlane plane(settings_of(listener, rank, 2));
    try {
      plane.all_gather(rank == 1 ? std::string(70'000'000, 'x') : "", "blob", 20);
    } catch (const CommError&) {
      throw;
    } catch (const Error& error) {
      throw CommError(plane.fail(error.what(), Blame::own));
    }
  });
  expect_all(errors, "rank 1 on host ");
  expect_all(errors, "the text of rank 1 for the exchange \"blob\" is larger than a message may be");
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
      RawPeer browser(listener.port);
      browser.send_bytes("GET / HTTP/1.1\r\n\r\n");
      EXPECT_TRUE(browser.is_closed()) << "whoever announces a gigabyte is cut off";
    }
    ControlPlane plane(settings_of(listener, rank, 2));
    plane.barrier("end", 10);
    plane.leave();
  });
  expect_none(errors);
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
  expect_none(errors);
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
  expect_none(errors);
}

TEST(ControlPlane, RefusesAPortInUse) {
  const Listener listener;
  try {
    ControlSettings settings = settings_of(listener, 0, 2);
    settings.listener = -1;
    const ControlPlane plane(settings);
    FAIL() << "two listen on one port";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot be had (Address already in use); end what uses it"),
              std::string::npos)
        << error.what();
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

// As `timetrial run` keeps a port for rank 0.
TEST(ControlPlane, MeetsOnAReservedPortOverIpv4AndIpv6) {
  const Listener none;
  const ReservedPort port;
  const bool ipv6 = has_ipv6();
  const auto errors = as_ranks(3, [&](int rank) {
    ControlSettings settings = settings_of(none, rank, 3);
    settings.listener = -1;
    settings.address = {.host = rank == 1 && ipv6 ? "::1" : "127.0.0.1", .port = port.number()};
    ControlPlane plane(settings);
    plane.barrier("end", 10);
    plane.leave();
  });
  expect_none(errors);
  if (!ipv6) GTEST_SKIP() << "this machine has no IPv6: ranks met over IPv4 alone";
}

// Where a firewall swallows what is sent, the system itself would try for two minutes.
TEST(ControlPlane, GivesUpInTimeWhenNothingAnswers) {
  const Listener listener(/*backlog=*/0);  // full after one connection: more are not answered at all
  const RawPeer first(listener.port);
  ControlSettings settings = settings_of(listener, 1, 2);
  settings.init_deadline = 0.5;
  std::atomic<bool> done{false};
  std::thread rescue([&] {
    for (int i = 0; i < 80 && !done; ++i) sleep_for(0.1);
    shutdown(listener.descriptor, SHUT_RDWR);
  });
  const double started = monotonic_seconds();
  EXPECT_THROW(const ControlPlane plane(settings), CommError);
  EXPECT_LT(monotonic_seconds() - started, 5);
  done = true;
  rescue.join();
}

}  // namespace
}  // namespace timetrial::comm
