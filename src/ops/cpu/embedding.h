// Token embedding on the CPU. T is float or double, the type of all floating tensors; arguments have been checked, ids
// are checked here. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/ops/embedding.h"

namespace timetrial::ops::cpu {

// Throws Error for an id outside [0, V).
template <class T>
void embedding_forward(const EmbeddingForward& a);

// As forward.
template <class T>
void embedding_backward(const EmbeddingBackward& a);

}  // namespace timetrial::ops::cpu
