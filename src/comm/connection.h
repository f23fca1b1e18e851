// Connection: whole messages over one TCP connection, both ways, on the thread that runs its io_context.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
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
  // Bytes that the texts in such a message may have in all, each with kTextHead around it.
  static constexpr size_t kMostTexts = kMost - 4096, kTextHead = 16;

  // A message as it travels; many connections may send one and the same.
  using Frame = std::shared_ptr<const std::vector<uint8_t>>;
  static Frame frame_of(const Json& message);

  explicit Connection(asio::ip::tcp::socket socket);

  // `on_close` comes once, with what the operating system said ("End of file"); never after close().
  void start(std::function<void(const Json&)> on_message, std::function<void(const std::string&)> on_close);
  void trust() { most_ = kMost; }
  void send(const Json& message) { send_frame(frame_of(message)); }
  void send_frame(Frame frame);
  // What was sent before still goes out, for a few seconds: a peer that does not read keeps nobody. Nothing is read any
  // more.
  void close();

 private:
  void read_length();
  void read_body();
  void write();
  void end();
  void lose(const std::string& why);

  asio::ip::tcp::socket socket_;
  asio::steady_timer farewell_;
  uint32_t most_ = kMostGreeting;
  std::array<uint8_t, 4> length_{};
  std::vector<uint8_t> body_;
  std::deque<Frame> outgoing_;
  bool closing_ = false;
  std::function<void(const Json&)> on_message_;
  std::function<void(const std::string&)> on_close_;
};

}  // namespace timetrial::comm
