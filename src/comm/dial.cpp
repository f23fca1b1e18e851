// Resolve, connect, wait, again.
// SPDX-License-Identifier: Apache-2.0
#include "comm/dial.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "comm/patience.h"
#include "timetrial/base/clock.h"

namespace timetrial::comm {

namespace {

using asio::ip::tcp;

constexpr double kRetry = 0.2;     // seconds between attempts
constexpr double kAttempt = 10;    // seconds for one address, where a host has several
constexpr double kShortest = 0.1;  // seconds that an attempt gets even at the end

struct Found {
  tcp::resolver::results_type ends;
  asio::error_code failure;
};

// The system's resolver cannot be told how long to take, nor be stopped: a thread that nobody waits for calls it.
Found resolve(const Address& address, double until) {
  const auto promise = std::make_shared<std::promise<Found>>();
  std::future<Found> found = promise->get_future();
  std::thread([promise, address] {
    asio::io_context own;
    tcp::resolver resolver(own);
    Found result;
    result.ends = resolver.resolve(address.host, std::to_string(address.port), result.failure);
    promise->set_value(std::move(result));
  }).detach();
  if (found.wait_for(duration_of(std::max(kShortest, until - monotonic_seconds()))) == std::future_status::ready)
    return found.get();
  return {.ends = {}, .failure = asio::error::timed_out};
}

std::optional<tcp::socket> connect(asio::io_context& io, const tcp::endpoint& end, double until,
                                   asio::error_code& failure) {
  tcp::socket socket(io);
  std::optional<asio::error_code> result;
  socket.async_connect(end, [&result](asio::error_code why) { result = why; });
  while (!result && monotonic_seconds() < until) io.run_one_for(duration_of(until - monotonic_seconds()));
  if (!result) {
    socket.close();
    while (!result) io.run_one();  // the handler above still comes
    result = asio::error::timed_out;
  }
  failure = *result;
  if (failure) return std::nullopt;
  return socket;
}

}  // namespace

Dialled dial(asio::io_context& io, const Address& address, double seconds) {
  const double until = monotonic_seconds() + seconds;
  asio::error_code failure;
  do {
    const Found found = resolve(address, until);
    failure = found.failure;
    for (const auto& entry : found.ends) {
      const double now = monotonic_seconds();
      auto socket = connect(io, entry.endpoint(), now + std::clamp(until - now, kShortest, kAttempt), failure);
      if (socket) return {.socket = std::move(socket), .failure = {}};
    }
    std::this_thread::sleep_for(duration_of(kRetry));
  } while (monotonic_seconds() < until);
  return {.socket = std::nullopt, .failure = failure.message()};
}

}  // namespace timetrial::comm
