// Ranks of a control plane as threads, and a peer that speaks its protocol by hand and only as far as a test wants.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "timetrial/comm/control_plane.h"

namespace timetrial::comm::fixtures {

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

// Whether a socket can be bound to the IPv6 loopback address.
inline bool has_ipv6() {
  const int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool found =
      descriptor >= 0 && bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (descriptor >= 0) close(descriptor);
  return found;
}

// A listening socket on a port of the system's choice, which rank 0 takes over.
struct Listener {
  explicit Listener(int backlog = 64) : descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(descriptor, backlog), 0);
    EXPECT_EQ(getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  int descriptor, port = 0;
};

inline ControlSettings settings_of(const Listener& listener, int rank, int size) {
  return {.rank = {.launcher = "test", .rank = rank, .size = size, .local_rank = rank, .local_size = size},
          .address = {.host = "127.0.0.1", .port = listener.port},
          .run_id = "test",
          .listener = rank == 0 ? listener.descriptor : -1,
          .init_deadline = 10,
          .silence = 10,
          .pulse = 0.05,
          .wall_clock = {}};
}

inline void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

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

inline void expect_all(const std::vector<std::string>& errors, const std::string& needle) {
  for (size_t rank = 0; rank < errors.size(); ++rank)
    EXPECT_NE(errors[rank].find(needle), std::string::npos) << "rank " << rank << ": " << errors[rank];
}

inline void expect_none(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

class RawPeer {
 public:
  explicit RawPeer(int port, double patience = 10) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto seconds = static_cast<time_t>(patience);
    const timeval wait{.tv_sec = seconds,
                       .tv_usec = static_cast<suseconds_t>(1e6 * (patience - static_cast<double>(seconds)))};
    EXPECT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawPeer() { close(socket_); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  void send_bytes(const std::string& bytes) {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void send(const nlohmann::json& message) {
    const std::vector<uint8_t> body = nlohmann::json::to_cbor(message);
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(body.size() >> shift);
    send_bytes(bytes.append(body.begin(), body.end()));
  }
  void hello(int rank, int size) {
    send({{"t", "hello"}, {"run", "test"}, {"rank", rank}, {"size", size}, {"host", "raw"}, {"pid", 1}});
  }
  // The next message of this kind; an empty one when none comes.
  nlohmann::json await(const std::string& kind) {
    for (;;) {
      std::vector<uint8_t> length = receive(4);
      if (length.size() < 4) return {};
      size_t size = 0;
      for (const uint8_t byte : length) size = size << 8 | byte;
      nlohmann::json message = nlohmann::json::from_cbor(receive(size));
      if (message.at("t") == kind) return message;
    }
  }
  // Whether the other side closes the connection, and says nothing before.
  bool is_closed() {
    char byte = 0;
    const ssize_t count = recv(socket_, &byte, 1, 0);
    return count == 0 || (count < 0 && errno == ECONNRESET);
  }
  bool is_open() {
    char byte = 0;
    return recv(socket_, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
  // Both directions end, as when the process goes.
  void hang_up() { shutdown(socket_, SHUT_RDWR); }

 private:
  std::vector<uint8_t> receive(size_t size) {
    std::vector<uint8_t> bytes(size);
    const ssize_t count = recv(socket_, bytes.data(), size, MSG_WAITALL);
    bytes.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return bytes;
  }

  int socket_;
};

}  // namespace timetrial::comm::fixtures
