// numpy's masked rejection and torch's remainder draw over the Mersenne Twister of the standard library.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/numpy_random.h"

#include <bit>
#include <numeric>

#include "timetrial/base/error.h"

namespace timetrial {

uint64_t NumpyRandom::interval(uint64_t max) {
  if (max == 0) return 0;
  const uint64_t mask = ~uint64_t{0} >> std::countl_zero(max);
  uint64_t value;
  if (max <= 0xffffffffu) {
    do value = next32() & mask;
    while (value > max);
    return value;
  }
  do {
    const uint64_t high = next32();
    value = ((high << 32) | next32()) & mask;
  } while (value > max);
  return value;
}

std::vector<uint32_t> torch_randperm(int64_t count, uint32_t seed) {
  constexpr int64_t kLimit = 0xffffffffll / 20;
  TIMETRIAL_CHECK(count >= 0, "{} items", count);
  if (count >= kLimit) {
    throw UserError(
        fmt::format("the cyclic sampler permutes fewer than {} samples per rank, {} were asked for; use the single "
                    "sampler or fewer training samples",
                    kLimit, count));
  }
  std::vector<uint32_t> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0u);
  std::mt19937 engine(seed);
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    const size_t other = i + static_cast<uint32_t>(engine()) % (values.size() - i);
    std::swap(values[i], values[other]);
  }
  return values;
}

}  // namespace timetrial
