// Is a text valid UTF-8? (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF)
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace timetrial {

bool valid_utf8(std::string_view text);

}  // namespace timetrial
