// A port that is asked for, or a socket that listens already.
// SPDX-License-Identifier: Apache-2.0
#include "comm/listen.h"

#include <sys/socket.h>

#include "timetrial/base/identity.h"
#include "timetrial/base/open_files.h"
#include "timetrial/comm/rendezvous.h"

namespace timetrial::comm {

namespace {

// One file per rank and per stranger, and what the process opens beside.
void require_files(int ranks) {
  constexpr uint64_t kBeside = 64;
  const uint64_t wanted = static_cast<uint64_t>(ranks) + kStrangers + kBeside;
  const uint64_t allowed = allow_open_files(wanted);
  if (allowed < wanted)
    throw UserError(
        fmt::format("rank 0 on host {} serves {} ranks and needs {} open files, its limit is {}: raise it with ulimit "
                    "-Hn, or LimitNOFILE of the service that starts jobs",
                    host_name(), ranks, wanted, allowed));
}

int listening_socket(int port) {
  try {
    return ReservedPort(port).listen();
  } catch (const Error& error) {
    throw UserError(fmt::format(
        "rank 0 on host {} cannot listen: {}; end what uses it, or choose another with TIMETRIAL_RENDEZVOUS=host:port",
        host_name(), error.what()));
  }
}

}  // namespace

asio::ip::tcp::acceptor listen_for_ranks(asio::io_context& io, const ControlSettings& settings) {
  require_files(settings.rank.size);
  const int descriptor = settings.listener >= 0 ? settings.listener : listening_socket(settings.address.port);
  int family = AF_INET;
  socklen_t size = sizeof family;
  TIMETRIAL_CHECK(getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0, "{} is no socket", descriptor);
  return {io, family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), descriptor};
}

}  // namespace timetrial::comm
