// The llama31_405b benchmark as the trainer sees it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "timetrial/train/model.h"

namespace timetrial::llama31_405b {

std::unique_ptr<Workload> make_workload();

}  // namespace timetrial::llama31_405b
