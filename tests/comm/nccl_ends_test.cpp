// What NCCL's communicators do when something goes wrong, and when nothing does, on the emulated NCCL.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#if TIMETRIAL_EMULATED
#include <atomic>
#include <thread>

#include "comm/suite.h"
#include "emulation/nccl_counts.h"
#include "fixtures/emulated_devices.h"
#include "timetrial/base/clock.h"
#include "timetrial/comm/thread_ranks.h"
#include "timetrial/device/event.h"
#include "timetrial/device/use_device.h"

namespace timetrial::testing {
namespace {

constexpr double kLong = 60, kSoon = 0.3, kAtOnce = 10;  // seconds: never reached, reached, much less than kLong

class Nccl : public ::testing::Test {
 protected:
  void SetUp() override {
    emulate_devices(4);
    emulation::forget_nccl_counts();
  }
  void TearDown() override { EXPECT_EQ(emulation::nccl_counts().misuse, 0); }

  static Device device_of(const comm::Bootstrap& bootstrap) {
    return {.kind = DeviceKind::cuda, .index = bootstrap.local_rank()};
  }
};

// Runs ranks that each make a world and its halves, and returns what each threw.
struct Ranks {
  comm::Communicator &world, &half;
  StreamRef stream;
};
std::vector<std::string> errors_of(int ranks, double deadline, const std::function<void(const Ranks&)>& body) {
  std::vector<std::string> errors(static_cast<size_t>(ranks));
  try {
    comm::run_thread_ranks(ranks, [&](comm::Bootstrap& bootstrap) {
      const Device device{.kind = DeviceKind::cuda, .index = bootstrap.local_rank()};
      use_device(device);
      const Stream stream(device);
      try {
        const auto world = bootstrap.make_world(device, {.init = kLong, .call = deadline});
        const auto half = world->split(bootstrap.rank() % 2, "half");
        body({*world, *half, stream.ref()});
      } catch (const comm::CommError& error) {
        errors[static_cast<size_t>(bootstrap.rank())] = error.what();
        throw;
      }
    });
  } catch (const Error&) {
    // The first of them again.
  }
  return errors;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(Nccl, RanksThatAreDonePartWithoutAnAbort_cuda) {
  const auto errors = errors_of(4, kLong, [](const Ranks& ranks) {
    const OwnedTensor x = filled(DType::f32, 8, ranks.stream, [](int64_t) { return 1; });
    ranks.half.all_reduce(x, {ranks.stream, "half"});
    ranks.world.all_reduce(x, {ranks.stream, "whole"});
    ranks.world.wait(ranks.stream);
    EXPECT_EQ(read(x, ranks.stream).front(), 8);
  });
  EXPECT_EQ(errors, std::vector<std::string>(4));
  EXPECT_EQ(emulation::nccl_counts().made, 8);
  EXPECT_EQ(emulation::nccl_counts().destroyed, 8);
  EXPECT_EQ(emulation::nccl_counts().aborted, 0);
}

// A rank whose device hangs in a collective of a half is free again after the deadline: also to give memory back, which
// waits for the device.
TEST_F(Nccl, AStuckHalfEndsWithTheWorldInOneGroup_cuda) {
  const double started = monotonic_seconds();
  const auto errors = errors_of(4, kSoon, [](const Ranks& ranks) {
    const OwnedTensor x(DType::f32, {8}, ranks.stream.device);
    if (ranks.world.rank() == 2) return;
    ranks.half.all_reduce(x, {ranks.stream, "gradients"});
    ranks.world.wait(ranks.stream);
  });
  EXPECT_TRUE(contains(errors[0], "another rank did not come")) << errors[0];
  EXPECT_TRUE(errors[2].empty()) << errors[2];
  EXPECT_LT(monotonic_seconds() - started, kAtOnce);
  EXPECT_EQ(emulation::nccl_counts().together, 2);
  EXPECT_EQ(emulation::nccl_counts().leaked(), 0);
}

TEST_F(Nccl, AnErrorOfAHalfEndsAWaitOnTheWorld_cuda) {
  const double started = monotonic_seconds();
  const auto errors = errors_of(4, kLong, [](const Ranks& ranks) {
    const OwnedTensor x(DType::f32, {8}, ranks.stream.device);
    if (ranks.world.rank() == 1) return;
    if (ranks.world.rank() == 0) emulation::break_nccl_groups(0, 2);
    ranks.world.all_reduce(x, {ranks.stream, "gradients"});
    ranks.world.wait(ranks.stream);
  });
  emulation::break_nccl_groups(0, 0);
  EXPECT_TRUE(contains(errors[0], "remote process exited")) << errors[0];
  EXPECT_LT(monotonic_seconds() - started, kAtOnce);
  EXPECT_EQ(emulation::nccl_counts().leaked(), 0);
}

// What another rank says reaches a rank that waits, whatever it waits for.
TEST_F(Nccl, AnotherRanksEndIsToldToOneThatWaits_cuda) {
  const double started = monotonic_seconds();
  const auto errors = errors_of(2, kLong, [](const Ranks& ranks) {
    const OwnedTensor x(DType::f32, {8}, ranks.stream.device);
    if (ranks.world.rank() == 1) throw Error("out of data");
    ranks.world.all_reduce(x, {ranks.stream, "gradients"});
    ranks.world.wait(ranks.stream);
  });
  EXPECT_TRUE(contains(errors[0], "rank 1 ended: out of data")) << errors[0];
  EXPECT_LT(monotonic_seconds() - started, kAtOnce);
  EXPECT_EQ(emulation::nccl_counts().leaked(), 0);
}

TEST_F(Nccl, AnotherRanksEndIsToldToOneThatStarts_cuda) {
  const double started = monotonic_seconds();
  std::string told;
  const auto ranks = [&] {
    comm::run_thread_ranks(2, [&](comm::Bootstrap& bootstrap) {
      use_device(device_of(bootstrap));
      if (bootstrap.rank() == 1) {
        bootstrap.all_gather("");  // the id of the world
        throw Error("no such file");
      }
      try {
        bootstrap.make_world(device_of(bootstrap), {.init = kLong, .call = kLong});
      } catch (const comm::CommError& error) {
        told = error.what();
      }
    });
  };
  EXPECT_THROW(ranks(), Error);
  EXPECT_TRUE(contains(told, "rank 1 ended: no such file")) << told;
  EXPECT_LT(monotonic_seconds() - started, kAtOnce);
}

// A result that is there is not kept by what is queued behind it.
TEST_F(Nccl, WaitingForAnEventDoesNotWaitForWhatIsBehindIt_cuda) {
  std::atomic<bool> has_it{false};
  const auto errors = errors_of(2, kLong, [&](const Ranks& ranks) {
    const OwnedTensor x(DType::f32, {8}, ranks.stream.device);
    Event first(ranks.stream.device);
    ranks.world.all_reduce(x, {ranks.stream, "step 0"});
    first.record(ranks.stream);
    if (ranks.world.rank() == 1)
      while (!has_it) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ranks.world.all_reduce(x, {ranks.stream, "step 1"});
    if (ranks.world.rank() == 0) {
      ranks.world.wait_until([&] { return first.done(); });
      has_it = true;
    }
    ranks.world.wait(ranks.stream);
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
}

}  // namespace
}  // namespace timetrial::testing
#endif
