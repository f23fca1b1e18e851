// Names and layouts of Llama checkpoints, as transformers' LlamaForCausalLM has them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/checkpoint/mapping.h"
#include "timetrial/config/model_shape.h"

namespace timetrial::llama31_405b {

checkpoint::Format checkpoint_format(const ModelShape& shape);

}  // namespace timetrial::llama31_405b
