// What latents, routers with groups, dense first layers and multi-token prediction ask of a shape.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/config/model_shape.h"

namespace timetrial::config {

// Throws ConfigError naming the field, both numbers and a fix.
void validate_extras(const ModelShape& shape, const std::string& path);

}  // namespace timetrial::config
