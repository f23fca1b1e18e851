// The communicator suite on ranks that are threads, and what happens when they do not do the same.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/communicator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "comm/suite.h"
#include "fixtures/emulated_devices.h"
#include "timetrial/base/clock.h"
#include "timetrial/comm/thread_ranks.h"
#include "timetrial/device/use_device.h"

namespace timetrial::testing {
namespace {

struct Case {
  DeviceKind kind;
  int ranks;
};

class Threads : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    emulate_devices(8);
    if (GetParam().kind == DeviceKind::cpu || device_count(DeviceKind::cuda) >= GetParam().ranks) return;
    const char* required = std::getenv("TIMETRIAL_REQUIRE_CUDA");
    if (required != nullptr && std::string(required) == "1" && GetParam().ranks == 1) FAIL() << "a GPU is required";
    GTEST_SKIP() << "needs " << GetParam().ranks << " GPUs";
  }
  static void each(const std::function<void(const Party&)>& body) {
    comm::run_thread_ranks(GetParam().ranks, [&](comm::Bootstrap& bootstrap) {
      const Device device{.kind = GetParam().kind, .index = bootstrap.local_rank()};
      use_device(device);
      const Stream stream(device);
      const auto world = bootstrap.make_world(stream.ref().device, {});
      EXPECT_EQ(world->rank(), bootstrap.rank());
      EXPECT_EQ(world->size(), GetParam().ranks);
      body({.world = *world, .stream = stream.ref()});
    });
  }
};

TEST_P(Threads, AllReduce) { each(check_all_reduce); }
TEST_P(Threads, ReduceScatter) {
  each([](const Party& p) { check_reduce_scatter(p, false); });
}
TEST_P(Threads, ReduceScatterInPlace) {
  each([](const Party& p) { check_reduce_scatter(p, true); });
}
TEST_P(Threads, AllGather) {
  each([](const Party& p) { check_all_gather(p, false); });
}
TEST_P(Threads, AllGatherInPlace) {
  each([](const Party& p) { check_all_gather(p, true); });
}
TEST_P(Threads, Broadcast) { each(check_broadcast); }
TEST_P(Threads, UnevenAllToAll) { each(check_all_to_all); }
TEST_P(Threads, Split) { each(check_split); }
TEST_P(Threads, SameBitsOnEveryRank) { each(check_same_bits); }

TEST_P(Threads, NobodyPassesABarrierAlone) {
  std::atomic<int> came{0};
  each([&](const Party& p) {
    if (p.world.rank() == p.world.size() - 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ++came;
    p.world.barrier(p.on("everybody"));
    p.world.wait(p.stream);
    EXPECT_EQ(came, p.world.size());
  });
}

TEST_P(Threads, TextsArriveInRankOrder) {
  comm::run_thread_ranks(GetParam().ranks, [&](comm::Bootstrap& bootstrap) {
    for (int turn = 0; turn < 3; ++turn) {
      const std::string mine(static_cast<size_t>(bootstrap.rank()), static_cast<char>('a' + turn));
      const std::vector<std::string> all = bootstrap.all_gather(mine);
      ASSERT_EQ(all.size(), static_cast<size_t>(GetParam().ranks));
      for (size_t rank = 0; rank < all.size(); ++rank)
        EXPECT_EQ(all[rank], std::string(rank, static_cast<char>('a' + turn)));
    }
  });
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::cuda})
    for (const int ranks : {1, 2, 3, 4, 7}) all.push_back({kind, ranks});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Ranks, Threads, ::testing::ValuesIn(cases()), [](const auto& made) {
  return fmt::format("{}_{}", made.param.kind == DeviceKind::cpu ? "cpu" : "cuda", made.param.ranks);
});

// What the ranks of a world of four throw when each does what `body` says.
std::vector<std::string> errors_of(const std::function<void(comm::Communicator&)>& body) {
  std::vector<std::string> errors(4);
  comm::run_thread_ranks(4, [&](comm::Bootstrap& bootstrap) {
    const auto world = bootstrap.make_world({}, {.init = 30, .call = 0.3});
    try {
      body(*world);
    } catch (const comm::CommError& error) {
      errors[static_cast<size_t>(bootstrap.rank())] = error.what();
    }
  });
  return errors;
}

void expect_in(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(Failures, AMissingRankIsNamedWithinTheDeadline) {
  const double started = monotonic_seconds();
  const auto errors = errors_of([](comm::Communicator& world) {
    const OwnedTensor x(DType::f32, {8});
    world.all_reduce(x, {{}, "gradient norm"});
    if (world.rank() != 2) world.all_reduce(x, {{}, "loss"});
  });
  EXPECT_LT(monotonic_seconds() - started, 5);
  EXPECT_EQ(errors[2], "");
  for (const int rank : {0, 1, 3})
    expect_in(errors[static_cast<size_t>(rank)],
              {"world: rank 2 did not come to all_reduce \"loss\" (call 2) within 0.3 s", "ranks 0, 1 and 3 waited",
               "the last call of rank 2 was all_reduce \"gradient norm\" (call 1)"});
}

TEST(Failures, ARankThatComesTooLateIsToldSo) {
  const auto errors = errors_of([](comm::Communicator& world) {
    if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(900));
    world.barrier({{}, "meeting"});
  });
  for (const std::string& error : errors) expect_in(error, {"rank 1 did not come to barrier \"meeting\""});
}

TEST(Failures, ASkippedCollectiveIsNamed) {
  const auto errors = errors_of([](comm::Communicator& world) {
    const OwnedTensor x(DType::f32, {8}), all(DType::f32, {32});
    if (world.rank() != 1) world.all_reduce(x, {{}, "norm"});
    world.all_gather(all, x, {{}, "weights"});
  });
  for (const std::string& error : errors)
    expect_in(error, {"rank 1 calls all_gather of 8 f32 \"weights\" (call 1) where ranks 0, 2 and 3 call",
                      "all_reduce of 8 f32 \"norm\" (call 1)"});
}

TEST(Failures, AnotherSizeTypeOrRootIsNamed) {
  const auto size = errors_of([](comm::Communicator& world) {
    const OwnedTensor x(DType::f64, {world.rank() == 3 ? 9 : 8});
    world.all_reduce(x, {{}, "norm"});
  });
  for (const std::string& error : size) expect_in(error, {"rank 3 calls all_reduce of 9 f64", "all_reduce of 8 f64"});
  const auto type = errors_of([](comm::Communicator& world) {
    const OwnedTensor x(world.rank() == 0 ? DType::bf16 : DType::f32, {8});
    world.all_reduce(x, {{}, "norm"});
  });
  for (const std::string& error : type) expect_in(error, {"rank 0 calls all_reduce of 8 bf16"});
  const auto root = errors_of([](comm::Communicator& world) {
    const OwnedTensor x(DType::f32, {8});
    world.broadcast(x, world.rank() == 2 ? 1 : 0, {{}, "seed"});
  });
  for (const std::string& error : root) expect_in(error, {"rank 2 calls broadcast of 8 f32 from rank 1"});
}

TEST(Failures, PiecesThatDoNotFitAreNamed) {
  const auto errors = errors_of([](comm::Communicator& world) {
    std::vector<int64_t> in(4, 1), out(4, 1);
    if (world.rank() == 1) in[3] = 2;
    const OwnedTensor sent(DType::f32, {world.rank() == 1 ? 5 : 4}), received(DType::f32, {4});
    world.all_to_all({.out = received, .in = sent, .out_counts = out, .in_counts = in}, {{}, "tokens"});
  });
  for (const std::string& error : errors) expect_in(error, {"rank 1 sends 2 elements to rank 3, which expects 1"});
}

TEST(Failures, ARankThatThrowsEndsTheOthersAtOnce) {
  const double started = monotonic_seconds();
  std::atomic<int> told{0};
  try {
    comm::run_thread_ranks(3, [&](comm::Bootstrap& bootstrap) {
      const auto world = bootstrap.make_world({}, {.init = 30, .call = 30});
      const auto part = world->split(0, "part");
      if (bootstrap.rank() == 1) throw UserError("the data is gone");
      try {
        part->barrier({{}, "meeting"});
      } catch (const comm::CommError& error) {
        expect_in(error.what(), {"rank 1 ended: the data is gone"});
        ++told;
        throw;
      }
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const UserError& error) {
    expect_in(error.what(), {"the data is gone"});
  }
  EXPECT_EQ(told, 2);
  EXPECT_LT(monotonic_seconds() - started, 10);
}

TEST(Failures, AbortEndsWaitingRanks) {
  const auto errors = errors_of([](comm::Communicator& world) {
    world.set_deadline(30);
    if (world.rank() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      world.abort("told to stop");
    }
    world.barrier({{}, "meeting"});
  });
  for (const std::string& error : errors) expect_in(error, {"told to stop"});
}

TEST(Position, TellsTheLastCall) {
  comm::run_thread_ranks(2, [&](comm::Bootstrap& bootstrap) {
    const auto world = bootstrap.make_world({}, {});
    const int64_t before = world->position().sequence;
    world->barrier({{}, "meeting"});
    const comm::Position position = world->position();
    EXPECT_EQ(position.sequence, before + 1);
    EXPECT_EQ(position.kind, comm::Collective::barrier);
    EXPECT_EQ(position.purpose, "meeting");
    EXPECT_FALSE(position.inside);
  });
}

}  // namespace
}  // namespace timetrial::testing
