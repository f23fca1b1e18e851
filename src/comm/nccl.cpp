// The fork between builds with NCCL and without.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/nccl.h"

#include "comm/cuda/nccl_world.h"
#include "timetrial/base/build.h"

namespace timetrial::comm {

std::string nccl_version() {
  if constexpr (build::has_cuda) return cuda::nccl_version();
  return "";
}

std::unique_ptr<Communicator> make_nccl_world(Bootstrap& bootstrap, Device device, const Deadlines& deadlines) {
  if constexpr (build::has_cuda) {
    return cuda::make_nccl_world(bootstrap, device, deadlines);
  } else {
    throw UserError(fmt::format(
        "this program was built without CUDA, so rank {} has no NCCL: configure with --preset cuda", bootstrap.rank()));
  }
}

}  // namespace timetrial::comm
