// NVTX ranges. The header-only library finds out by itself whether a profiler is there.
// SPDX-License-Identifier: Apache-2.0
#include <nvtx3/nvToolsExt.h>

#include "device/cuda/runtime.h"

namespace timetrial::cuda {

void push_range(const char* name, int64_t number) {
  nvtxEventAttributes_t range{};
  range.version = NVTX_VERSION;
  range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  range.messageType = NVTX_MESSAGE_TYPE_ASCII;
  range.message.ascii = name;
  range.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  range.payload.llValue = number;
  nvtxRangePushEx(&range);
}

void pop_range() { nvtxRangePop(); }

}  // namespace timetrial::cuda
