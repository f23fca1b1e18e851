// Launchers of the kernels of latent attention: plain pointers to device memory, so that nvcc sees no host-only
// headers. `type` is f32 or bf16, the storage of every void pointer. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/base/dtype.h"
#include "timetrial/device/device.h"

namespace timetrial::ops::cuda {

struct LatentQkvLaunch {
  void *qkv, *q, *kv, *key_rope;  // (rows, ...) as in ops/latent_qkv.h; gradients in backward
  const float *cos, *sin;         // (length, rope_dim / 2)
  int64_t rows, length;
  int64_t heads, nope_dim, rope_dim, value_dim;
  bool backward;  // q, kv, key_rope from qkv
  DType type;
};
void launch(const LatentQkvLaunch& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
