// Listen: where rank 0 takes the ranks' connections, with files enough for all of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "timetrial/comm/control_plane.h"

namespace timetrial::comm {

// Connections that belong to no rank, at a time.
inline constexpr size_t kStrangers = 32;

// On the settings' listener or port. Throws UserError when somebody else listens there, or when the process may not
// open a file for each rank and stranger.
asio::ip::tcp::acceptor listen_for_ranks(asio::io_context& io, const ControlSettings& settings);

}  // namespace timetrial::comm
