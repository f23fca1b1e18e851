// What communicators hear from the control plane when the run is over.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/controlled_bootstrap.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

namespace timetrial::comm {
namespace {

// A port that was free a moment ago.
int free_port() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(descriptor);
  return ntohs(address.sin_port);
}

TEST(ControlledBootstrap, EveryRankHearsWhyTheRunIsOver) {
  const int port = free_port();
  std::array<std::promise<std::string>, 2> heard;
  std::array<std::string, 2> late;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank)
    threads.emplace_back([&, rank] {
      Environment environment;
      environment.rank = {.launcher = "test", .rank = rank, .size = 2, .local_rank = rank, .local_size = 2};
      environment.rendezvous = {.host = "127.0.0.1", .port = port};
      environment.run_id = "test";
      ControlledBootstrap bootstrap(nullptr, environment, {.init = 30, .call = 30});
      auto& mine = heard[static_cast<size_t>(rank)];
      std::once_flag once;
      bootstrap.when_over([&](const std::string& why) { std::call_once(once, [&] { mine.set_value(why); }); });
      if (rank == 1) bootstrap.end("the data is gone", Blame::own);
      ASSERT_EQ(mine.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
      bootstrap.when_over([&](const std::string& why) { late[static_cast<size_t>(rank)] = why; });
      bootstrap.leave();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& why : late) EXPECT_NE(why.find("the data is gone"), std::string::npos) << why;
}

}  // namespace
}  // namespace timetrial::comm
