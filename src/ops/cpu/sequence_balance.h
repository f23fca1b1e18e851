// CPU kernels of the sequence auxiliary loss. Arguments have been checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/sequence_balance.h"

namespace timetrial::ops::cpu {

template <class T>
void sequence_balance_forward(const SequenceBalanceForward& a);
template <class T>
void sequence_balance_backward(const SequenceBalanceBackward& a);

}  // namespace timetrial::ops::cpu
