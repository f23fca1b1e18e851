// How the threads of a parallel region cut a count of rows or columns: evenly, and the same way every time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>

#include <cstdint>

namespace timetrial::ops::cpu {

struct Range {
  int64_t begin, end;
};

// Cuts fall on multiples of this: a cache line of floats, and a whole tile of the matrix library.
constexpr int64_t kGrain = 16;

// The calling thread's share of [0, count); may be empty.
inline Range my_share(int64_t count) {
  const int64_t part = omp_get_thread_num(), parts = omp_get_num_threads();
  const auto cut = [&](int64_t p) { return p == parts ? count : count * p / parts / kGrain * kGrain; };
  return {cut(part), cut(part + 1)};
}

}  // namespace timetrial::ops::cpu
