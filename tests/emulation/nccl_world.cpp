// In place of src/comm/cuda/nccl_world.cpp where the device is emulated: there is one device and no NCCL.
// SPDX-License-Identifier: Apache-2.0
#include "comm/cuda/nccl_world.h"

namespace timetrial::comm::cuda {

std::string nccl_version() { return "none"; }

std::unique_ptr<Communicator> make_nccl_world(Bootstrap&, Device, const Deadlines&) {
  throw UserError("an emulated device has no NCCL: run on \"cpu\", or without --ranks");
}

}  // namespace timetrial::comm::cuda
