// CPU kernels of attention: the blocked fp32 path and the plain double oracle.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/attention.h"

namespace timetrial::ops::cpu {

// Zero for double, which needs no scratch.
size_t attention_workspace_bytes(const AttentionShape& shape, DType dtype);

// Results do not depend on the number of threads. In fp32 a NaN in a value row can reach queries of its block that must
// not see it; finite values never do.
template <class T>
void attention_forward(const AttentionForward& a);
template <class T>
void attention_backward(const AttentionBackward& a);

template <>
void attention_forward<float>(const AttentionForward& a);
template <>
void attention_backward<float>(const AttentionBackward& a);
template <>
void attention_forward<double>(const AttentionForward& a);
template <>
void attention_backward<double>(const AttentionBackward& a);

}  // namespace timetrial::ops::cpu
