// Connection: whole messages over one TCP connection, both ways, on the thread that runs its io_context.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::comm {

// A message is four bytes of length, most significant first, then that many bytes of CBOR (RFC 8949). Every member is
// called on the io_context's thread, and so are the callbacks.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  static constexpr uint32_t kMostGreeting = 4096;       // bytes a stranger may send
  static constexpr uint32_t kMost = uint32_t{1} << 26;  // bytes of a message of somebody who is known

  explicit Connection(asio::ip::tcp::socket socket);

  // `on_close` comes once, with what the operating system said ("End of file"); never after close().
  void start(std::function<void(const Json&)> on_message, std::function<void(const std::string&)> on_close);
  void trust() { most_ = kMost; }
  void send(const Json& message);
  // What was sent before still goes out; nothing is read any more.
  void close();
  std::string peer() const { return peer_; }  // "10.0.0.7:41234"

 private:
  void read_length();
  void read_body();
  void write();
  void lose(const std::string& why);

  asio::ip::tcp::socket socket_;
  std::string peer_;
  uint32_t most_ = kMostGreeting;
  std::array<uint8_t, 4> length_{};
  std::vector<uint8_t> body_;
  std::deque<std::vector<uint8_t>> outgoing_;
  bool closing_ = false;
  std::function<void(const Json&)> on_message_;
  std::function<void(const std::string&)> on_close_;
};

}  // namespace timetrial::comm
