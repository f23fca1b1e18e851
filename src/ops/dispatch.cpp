// Checks and refusals shared by all op fronts.
// SPDX-License-Identifier: Apache-2.0
#include "ops/dispatch.h"

namespace timetrial::ops {

void check_devices(std::string_view op, std::initializer_list<Tensor> tensors, StreamRef stream) {
  for (const Tensor& tensor : tensors)
    TIMETRIAL_CHECK(!tensor || tensor.device() == stream.device, "{}: a tensor on {}, the stream on {}", op,
                    tensor.device().text(), stream.device.text());
}

void throw_without_cuda(std::string_view op) {
  throw UserError(fmt::format("{}: this program was built without CUDA; configure with --preset cuda", op));
}

void throw_no_cuda_kernel(std::string_view op) { throw UserError(fmt::format("{}: not built for CUDA yet", op)); }

}  // namespace timetrial::ops
