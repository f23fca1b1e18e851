// Names and layouts of DeepSeek-V3 checkpoints, as they were released and as transformers' DeepseekV3ForCausalLM has
// them. SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/checkpoint/mapping.h"
#include "timetrial/config/model_shape.h"

namespace timetrial::deepseekv3_671b {

// The multi-token-prediction module is one more layer in a checkpoint; the copies of embedding and head that it holds
// there are not read, because they are the same weights.
checkpoint::Format checkpoint_format(const ModelShape& shape);

}  // namespace timetrial::deepseekv3_671b
