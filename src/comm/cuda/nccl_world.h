// What the NCCL implementation offers the rest of the layer. Defined only in CUDA builds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"

namespace timetrial::comm::cuda {

std::string nccl_version();
std::unique_ptr<Communicator> make_nccl_world(Bootstrap& bootstrap, Device device, const Deadlines& deadlines);

}  // namespace timetrial::comm::cuda
