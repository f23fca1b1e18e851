// Token embedding on CUDA: tensors to kernel arguments.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/embedding.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/embedding_kernels.h"

namespace timetrial::ops::cuda {

void embedding_forward(const EmbeddingForward& a, StreamRef stream) {
  check_storage("embedding_forward", {a.table.dtype()});
  launch(EmbeddingForwardLaunch{.out = a.out.raw(),
                                .table = a.table.raw(),
                                .ids = a.ids.data<int32_t>(),
                                .rows = a.out.dim(0),
                                .columns = a.out.dim(1),
                                .type = a.table.dtype()},
         stream);
}

void embedding_backward(const EmbeddingBackward& a, StreamRef stream) {
  check_storage("embedding_backward", {a.d_out.dtype(), a.d_table.dtype()});
  launch(EmbeddingBackwardLaunch{.d_table = a.d_table.raw(),
                                 .d_out = a.d_out.raw(),
                                 .ids = a.ids.data<int32_t>(),
                                 .rows = a.d_out.dim(0),
                                 .columns = a.d_out.dim(1),
                                 .type = a.d_out.dtype(),
                                 .table_type = a.d_table.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
