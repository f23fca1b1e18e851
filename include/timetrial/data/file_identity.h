// What tells one token file from another without reading its tokens.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace timetrial {

struct FileIdentity {
  std::string hash;   // 32 hexadecimal digits: XXH3, 128 bit, of the bytes
  int64_t bytes = 0;  // of the file
};

// Reads the whole file. Throws DataError naming it.
FileIdentity identity_of_file(const std::string& path);
// Only looks at it. Throws DataError naming it.
int64_t size_of_file(const std::string& path);

}  // namespace timetrial
