// The deepseekv3_671b benchmark as the trainer sees it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "timetrial/train/model.h"

namespace timetrial::deepseekv3_671b {

std::unique_ptr<Workload> make_workload();

}  // namespace timetrial::deepseekv3_671b
