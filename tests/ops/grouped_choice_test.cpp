// Which kernels a grouped product takes: by chip, type, row length and address; decided without a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/grouped_choice.h"

#include <gtest/gtest.h>

namespace timetrial::ops::cuda {
namespace {

TEST(GroupedChoice, ChipsRunTheirOwnKernelsOnly) {
  EXPECT_EQ(grouped_chip({9, 0}, true, true), GroupedChip::hopper);
  EXPECT_EQ(grouped_chip({10, 0}, true, true), GroupedChip::blackwell);
  EXPECT_EQ(grouped_chip({10, 3}, true, true), GroupedChip::blackwell);
  EXPECT_EQ(grouped_chip({12, 0}, true, true), GroupedChip::any);
  EXPECT_EQ(grouped_chip({8, 9}, true, true), GroupedChip::any);
}

TEST(GroupedChoice, KernelsThatWereNotBuiltAreNotChosen) {
  EXPECT_EQ(grouped_chip({9, 0}, false, true), GroupedChip::any);
  EXPECT_EQ(grouped_chip({10, 0}, true, false), GroupedChip::any);
}

struct Sizes {
  int64_t n = 16, k = 24;
  DType type = DType::bf16, weight_type = DType::f32;
  int64_t skip = 0;  // elements before the first
};

// Whether the forward product and the weight gradient of these sizes fit.
std::pair<bool, bool> fit(const Sizes& s, GroupedKernels kernels = GroupedKernels::best) {
  alignas(64) static std::byte memory[1 << 14];
  std::byte* const at = memory + s.skip * 2;
  const Tensor c(at, s.type, {4, s.n}, {}), a(at, s.type, {4, s.k}, {}), b(at, s.type, {2, s.n, s.k}, {});
  const Tensor gradient(memory, s.weight_type, {2, s.n, s.k}, {}), begin(memory, DType::i32, {3}, {});
  return {fits_chip_kernels(GroupedMatmul{.c = c, .a = a, .b = b, .expert_begin = begin, .kernels = kernels}),
          fits_chip_kernels(GroupedMatmulBackwardWeight{gradient, c, a, begin, {}, kernels})};
}

TEST(GroupedChoice, WholeRowsOfBf16Fit) {
  using Both = std::pair<bool, bool>;
  EXPECT_EQ(fit({}), Both(true, true));
  EXPECT_EQ(fit({}, GroupedKernels::plain), Both(false, false));
  EXPECT_EQ(fit({.n = 17}), Both(false, false));
  EXPECT_EQ(fit({.k = 20}), Both(false, false));
  EXPECT_EQ(fit({.skip = 4}), Both(false, false));
  EXPECT_EQ(fit({.skip = 8}), Both(true, true));
  EXPECT_EQ(fit({.type = DType::f32}), Both(false, false));
  EXPECT_EQ(fit({.weight_type = DType::bf16}), Both(true, false));
}

}  // namespace
}  // namespace timetrial::ops::cuda
