// A bound socket, and entropy.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/rendezvous.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial::comm {

namespace {

// Bound to all addresses of IPv4, or of both families; -1, with errno, when that cannot be.
int bound_socket(int family, int port) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  const auto number = htons(static_cast<uint16_t>(port));
  // What is not named is zero: any address.
  const sockaddr_in four{.sin_family = AF_INET, .sin_port = number, .sin_addr = {}, .sin_zero = {}};
  const sockaddr_in6 six{
      .sin6_family = AF_INET6, .sin6_port = number, .sin6_flowinfo = 0, .sin6_addr = {}, .sin6_scope_id = 0};
  const int yes = 1, no = 0;
  // Sockets that say SO_REUSEADDR may be bound to one port as long as none of them listens.
  if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      (family == AF_INET || setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0) &&
      (family == AF_INET ? bind(descriptor, reinterpret_cast<const sockaddr*>(&four), sizeof four)
                         : bind(descriptor, reinterpret_cast<const sockaddr*>(&six), sizeof six)) == 0)
    return descriptor;
  const int why = errno;
  close(descriptor);
  errno = why;
  return -1;
}

[[noreturn]] void refuse(int port) {
  throw Error(fmt::format("TCP port {} cannot be had ({})", port == 0 ? "of any number" : std::to_string(port),
                          std::strerror(errno)));
}

}  // namespace

ReservedPort::ReservedPort(int number) : socket_(bound_socket(AF_INET6, number)) {
  if (socket_ < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) socket_ = bound_socket(AF_INET, number);
  if (socket_ < 0) refuse(number);
  sockaddr_in6 address{};  // IPv4 keeps the port in the same place
  socklen_t size = sizeof address;
  TIMETRIAL_CHECK(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "a socket without a name");
  number_ = ntohs(address.sin6_port);
}

ReservedPort::~ReservedPort() {
  if (socket_ >= 0) close(socket_);
}

int ReservedPort::listen() {
  if (::listen(socket_, SOMAXCONN) != 0) refuse(number_);
  return std::exchange(socket_, -1);
}

std::string new_run_id() {
  std::random_device entropy;
  return fmt::format("timetrial {:08x}{:08x}", entropy(), entropy());
}

}  // namespace timetrial::comm
