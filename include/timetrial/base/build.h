// What this build contains, as constants: `if constexpr (build::has_cuda)` instead of #ifdef.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial::build {

inline constexpr bool has_cuda = TIMETRIAL_HAS_CUDA != 0;
#ifdef NDEBUG
inline constexpr bool debug = false;
#else
inline constexpr bool debug = true;
#endif

}  // namespace timetrial::build
