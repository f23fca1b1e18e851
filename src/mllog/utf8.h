// UTF-8 as the log reader needs it: is it, and making it of Latin-1 bytes and code points.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace timetrial::mllog {

// Whether `text` is well-formed: shortest forms only, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

// Each byte as the character of that number.
std::string latin1_to_utf8(std::string_view text);

// Appends one character; surrogates too, in the form UTF-8 would give them.
void append_utf8(std::string& out, uint32_t code_point);

}  // namespace timetrial::mllog
