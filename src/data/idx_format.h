// The fixed part of an .idx file, shared by its reader and its writer (workloads.md section 9.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace timetrial::idx_format {

inline constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', '\0', '\0'};
inline constexpr uint64_t kVersion = 1;
// magic 9, version u64, token type u8, sequences u64, document entries u64; then lengths i32, offsets i64, documents
// i64
inline constexpr int64_t kHeaderBytes = 34;

}  // namespace timetrial::idx_format
