// Names and layouts of gpt-oss checkpoints, as transformers' GptOssForCausalLM has them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/checkpoint/mapping.h"
#include "timetrial/config/model_shape.h"

namespace timetrial::gpt_oss_20b {

// Of all forms. What the released model does not have, QK-norm weights, goes under the names that other models of the
// same family of classes use (self_attn.q_norm, self_attn.k_norm).
checkpoint::Format checkpoint_format(const ModelShape& shape);

}  // namespace timetrial::gpt_oss_20b
