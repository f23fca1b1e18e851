// The random numbers that fix the sample order: numpy's legacy RandomState and torch.randperm, draw for draw
// (workloads.md sections 10.3 and 10.4). SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
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

  // RandomState.shuffle of a one-dimensional array.
  template <class T>
  void shuffle(std::span<T> values) {
    for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[interval(i)]);
  }

 private:
  std::mt19937 engine_;
};

// torch.randperm(count) from a CPU generator seeded with `seed`. torch draws differently from 2^32 / 20 items on: there
// this throws UserError.
std::vector<uint32_t> torch_randperm(int64_t count, uint32_t seed);

}  // namespace timetrial
