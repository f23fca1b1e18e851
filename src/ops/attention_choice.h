// Which implementation computes an attention shape on a GPU, and how cuDNN is told of a window. Needs no GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "timetrial/ops/attention.h"

namespace timetrial::ops {

// What the choice depends on beside the shape.
struct AttentionPlace {
  DType dtype;
  int compute_capability;  // 90 is 9.0
  size_t cudnn_version;    // as cudnnGetVersion says it: 91900 is 9.19.0
};

struct AttentionChoice {
  bool fused;          // cuDNN's fused attention, forward and backward; else our own kernels
  std::string reason;  // why not; empty when fused
};

// One choice for forward and backward of a shape. cuDNN itself may still refuse what passes here. Throws UserError when
// the settings force cuDNN on what it cannot do.
AttentionChoice attention_backend(const AttentionShape& shape, const AttentionSettings& settings,
                                  const AttentionPlace& place);
// The same with a reason that is known already: own kernels, or UserError when cuDNN is forced.
AttentionChoice own_attention(const AttentionSettings& settings, std::string reason);

// cuDNN's left bound of the diagonal band: the keys a query sees, itself among them (frontend headers: a key is masked
// when query - key >= bound). Transformer Engine's window_size_left does not count the query itself and is one less.
// Nothing when the window hides no key.
std::optional<int64_t> cudnn_left_bound(const AttentionShape& shape);

// 91900 -> "9.19.0"
std::string cudnn_version_text(size_t version);

// "64/8 heads of 64, 1 x 8192 tokens, window 128, sinks"
std::string text_of(const AttentionShape& shape);

}  // namespace timetrial::ops
