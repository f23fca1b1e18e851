// Dial: a TCP connection to a host that may not be there yet, within a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "timetrial/config/environment.h"

namespace timetrial::comm {

struct Dialled {
  std::optional<asio::ip::tcp::socket> socket;  // none: nothing answered in time
  std::string failure;                          // then what the system said last
};

// Tries all addresses of the host, IPv6 and IPv4, again and again for `seconds`; the name may not be known yet either.
// Runs `io` on the calling thread meanwhile; nobody else may.
Dialled dial(asio::io_context& io, const Address& address, double seconds);

}  // namespace timetrial::comm
