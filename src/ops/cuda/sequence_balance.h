// Sequence auxiliary loss on CUDA. Defined only in CUDA builds. Storage f32 or bf16, arithmetic in fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sequence_balance.h"

namespace timetrial::ops::cuda {

void sequence_balance_forward(const SequenceBalanceForward& a, StreamRef stream);
void sequence_balance_backward(const SequenceBalanceBackward& a, StreamRef stream);

}  // namespace timetrial::ops::cuda
