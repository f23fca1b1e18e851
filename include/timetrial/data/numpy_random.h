// The random numbers that fix the sample order: numpy's legacy RandomState and torch.randperm, draw for draw
// (workloads.md sections 10.3 and 10.4). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace timetrial {

// numpy.random.RandomState(seed) for a 32-bit integer seed. One thread.
class NumpyRandom {
 public:
  // std::mt19937 seeds with the same recurrence (init_genrand) as numpy does for one integer.
  explicit NumpyRandom(uint32_t seed) : engine_(seed) {}

  uint32_t next32() { return static_cast<uint32_t>(engine_()); }

  // Uniform in [0, max] by masked rejection; no draw for max = 0, two draws per try (high word first) above 2^32 - 1.
  uint64_t interval(uint64_t max);

  // RandomState.shuffle of a one-dimensional array. The draws do not depend on the values, so they are taken a block
  // ahead: drawing and swapping in turn is ten times slower on arrays larger than the caches.
  template <class T>
  void shuffle(std::span<T> values) {
    size_t other[256];
    for (size_t left = values.size(); left > 1;) {
      const size_t count = std::min(std::size(other), left - 1);
      for (size_t k = 0; k < count; ++k) other[k] = interval(left - 1 - k);
      for (size_t k = 0; k < count; ++k) std::swap(values[left - 1 - k], values[other[k]]);
      left -= count;
    }
  }

 private:
  std::mt19937 engine_;
};

// torch.randperm(count) from a CPU generator seeded with `seed`. torch draws differently from 2^32 / 20 items on: there
// this throws UserError.
std::vector<uint32_t> torch_randperm(int64_t count, uint32_t seed);

}  // namespace timetrial
