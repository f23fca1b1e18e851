// NCCL behind the communicator interface: collectives between GPUs. Without NCCL or CUDA headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"

namespace timetrial::comm {

// "2.28.3"; empty in a build without NCCL.
std::string nccl_version();

// Collective over the bootstrap's ranks. Rank 0 draws the id and the bootstrap carries it; initialisation does not
// block and is given up, with an abort, after deadlines.init seconds. A call returns when it is queued; an error of a
// peer or the network that NCCL reports later is thrown by the next call or by wait(), which aborts at the deadline
// instead of waiting for ever. Sums run in NCCL's order, bf16 sums in NCCL's precision. Throws UserError in a build
// without CUDA.
std::unique_ptr<Communicator> make_nccl_world(Bootstrap& bootstrap, Device device, const Deadlines& deadlines);

}  // namespace timetrial::comm
