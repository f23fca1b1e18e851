// What every way to exec needs: pointers as the system wants them, and words for when it fails.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "timetrial/base/error.h"

namespace timetrial::launch {

// To each text, and a null pointer at the end; good as long as the texts are.
std::vector<char*> pointers_to(const std::vector<std::string>& texts);

// `why`: errno.
UserError cannot_start(const std::string& program, int why);

}  // namespace timetrial::launch
