// for_each_index: the same work on many files, on as many threads as there are cores.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace timetrial::results {

// Calls work(0) .. work(count - 1), each once, from up to `threads` threads (0: one per core) and returns when all are
// done. The first exception is thrown again, after the work under way has ended; work not begun then is left out.
void for_each_index(size_t count, int threads, const std::function<void(size_t)>& work);

}  // namespace timetrial::results
