// Framing and the queue of outgoing messages.
// SPDX-License-Identifier: Apache-2.0
#include "comm/connection.h"

#include <asio/buffer.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial::comm {

namespace {

constexpr std::chrono::seconds kFarewell{3};

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket) : socket_(std::move(socket)), farewell_(socket_.get_executor()) {
  asio::error_code ignored;  // only a matter of speed
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

void Connection::start(std::function<void(const Json&)> on_message, std::function<void(const std::string&)> on_close) {
  on_message_ = std::move(on_message);
  on_close_ = std::move(on_close);
  read_length();
}

Connection::Frame Connection::frame_of(const Json& message) {
  std::vector<uint8_t> bytes(4);
  Json::to_cbor(message, bytes);
  TIMETRIAL_CHECK(bytes.size() - 4 <= kMost, "a message of {} bytes, at most {}", bytes.size() - 4, kMost);
  const auto length = static_cast<uint32_t>(bytes.size() - 4);
  for (int i = 0; i < 4; ++i) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(length >> (24 - 8 * i));
  return std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
}

void Connection::send_frame(Frame frame) {
  if (!socket_.is_open()) return;
  outgoing_.push_back(std::move(frame));
  if (outgoing_.size() == 1) write();
}

void Connection::close() {
  closing_ = true;
  on_close_ = nullptr;
  if (outgoing_.empty() || !socket_.is_open()) return end();
  farewell_.expires_after(kFarewell);
  farewell_.async_wait([self = shared_from_this()](asio::error_code failure) {
    if (!failure) self->end();
  });
}

void Connection::read_length() {
  asio::async_read(socket_, asio::buffer(length_), [self = shared_from_this()](asio::error_code failure, size_t) {
    if (failure) return self->lose(failure.message());
    uint32_t length = 0;
    for (const uint8_t byte : self->length_) length = length << 8 | byte;
    if (length > self->most_) return self->lose(fmt::format("it announces a message of {} bytes", length));
    self->body_.resize(length);
    self->read_body();
  });
}

void Connection::read_body() {
  asio::async_read(socket_, asio::buffer(body_), [self = shared_from_this()](asio::error_code failure, size_t) {
    if (failure) return self->lose(failure.message());
    const Json message = Json::from_cbor(self->body_, /*strict=*/true, /*allow_exceptions=*/false);
    if (!message.is_object()) return self->lose("it sends what is no message");
    if (!self->closing_) self->on_message_(message);
    if (!self->closing_) self->read_length();
  });
}

void Connection::write() {
  asio::async_write(socket_, asio::buffer(*outgoing_.front()),
                    [self = shared_from_this()](asio::error_code failure, size_t) {
                      if (failure) return self->lose(failure.message());
                      self->outgoing_.pop_front();
                      if (!self->outgoing_.empty()) return self->write();
                      if (self->closing_) self->end();
                    });
}

void Connection::end() {
  asio::error_code ignored;  // the peer may be gone already
  socket_.close(ignored);
  farewell_.cancel();
}

void Connection::lose(const std::string& why) {
  end();
  // Both a read and a write may fail; it is said once.
  if (const auto say = std::exchange(on_close_, nullptr)) say(why);
}

}  // namespace timetrial::comm
