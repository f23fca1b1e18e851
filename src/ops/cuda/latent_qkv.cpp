// Latent attention's queries, keys and values on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/latent_qkv.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/latent_qkv_kernels.h"

namespace timetrial::ops::cuda {

void latent_qkv_forward(const LatentQkvForward& a, StreamRef stream) {
  check_storage("latent_qkv_forward", {a.qkv.dtype()});
  launch(LatentQkvLaunch{.qkv = a.qkv.raw(),
                         .q = a.q.raw(),
                         .kv = a.kv.raw(),
                         .key_rope = a.key_rope.raw(),
                         .cos = a.cos.data<float>(),
                         .sin = a.sin.data<float>(),
                         .rows = a.qkv.dim(0),
                         .length = a.cos.dim(0),
                         .heads = a.shape.heads,
                         .nope_dim = a.shape.nope_dim,
                         .rope_dim = a.shape.rope_dim,
                         .value_dim = a.shape.value_dim,
                         .backward = false,
                         .type = a.qkv.dtype()},
         stream);
}

void latent_qkv_backward(const LatentQkvBackward& a, StreamRef stream) {
  check_storage("latent_qkv_backward", {a.d_qkv.dtype()});
  launch(LatentQkvLaunch{.qkv = a.d_qkv.raw(),
                         .q = a.d_q.raw(),
                         .kv = a.d_kv.raw(),
                         .key_rope = a.d_key_rope.raw(),
                         .cos = a.cos.data<float>(),
                         .sin = a.sin.data<float>(),
                         .rows = a.d_qkv.dim(0),
                         .length = a.cos.dim(0),
                         .heads = a.shape.heads,
                         .nope_dim = a.shape.nope_dim,
                         .rope_dim = a.shape.rope_dim,
                         .value_dim = a.shape.value_dim,
                         .backward = true,
                         .type = a.d_qkv.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
