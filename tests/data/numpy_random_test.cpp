// The random numbers against the vectors of workloads.md sections 10.3 and 10.4.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/numpy_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

using Values = std::vector<int64_t>;

Values arange(int64_t count) {
  Values values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST(NumpyRandom, FirstWords) {
  NumpyRandom random(1234);
  for (const uint32_t word : {822569775u, 2137449171u, 2671936806u, 3512589365u}) EXPECT_EQ(random.next32(), word);
}

TEST(NumpyRandom, TwoShufflesContinueOneStream) {
  const struct {
    uint32_t seed;
    Values ten, seven;
  } cases[] = {
      {1234, {7, 2, 9, 1, 0, 8, 4, 5, 6, 3}, {6, 4, 0, 5, 3, 2, 1}},
      {42, {8, 1, 5, 0, 7, 2, 9, 4, 3, 6}, {4, 1, 0, 3, 5, 6, 2}},
      {1, {2, 9, 6, 4, 0, 3, 1, 7, 8, 5}, {6, 3, 0, 2, 1, 4, 5}},
  };
  for (const auto& c : cases) {
    NumpyRandom random(c.seed);
    Values ten = arange(10), seven = arange(7);
    random.shuffle(std::span(ten));
    random.shuffle(std::span(seven));
    EXPECT_EQ(ten, c.ten) << "seed " << c.seed;
    EXPECT_EQ(seven, c.seven) << "seed " << c.seed;
  }
}

TEST(NumpyRandom, LongShuffle) {
  NumpyRandom random(1234);
  Values values = arange(100000);
  random.shuffle(std::span(values));
  const Values first(values.begin(), values.begin() + 8);
  EXPECT_EQ(first, (Values{13504, 72599, 42217, 97650, 99120, 13165, 56244, 72729}));
  int64_t sum = 0;
  for (int64_t i = 0; i < 100000; ++i) sum += i * values[static_cast<size_t>(i)];
  EXPECT_EQ(sum, 249809377481287);
}

// The stored type changes nothing about the draws.
TEST(NumpyRandom, TypeOfTheValuesDoesNotMatter) {
  NumpyRandom wide(9), narrow(9);
  Values a = arange(1000);
  std::vector<int32_t> b(a.begin(), a.end());
  wide.shuffle(std::span(a));
  narrow.shuffle(std::span(b));
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
}

TEST(NumpyRandom, IntervalOfZeroDrawsNothing) {
  NumpyRandom random(1234);
  EXPECT_EQ(random.interval(0), 0u);
  EXPECT_EQ(random.next32(), 822569775u);
}

// Above 32 bits the first word is the high one; with the four known words the outcome can be written down.
TEST(NumpyRandom, WideIntervalTakesTheHighWordFirst) {
  NumpyRandom all(1234);
  EXPECT_EQ(all.interval(~uint64_t{0}), (uint64_t{822569775} << 32) | 2137449171u);
  NumpyRandom masked(1234);
  EXPECT_EQ(masked.interval((uint64_t{1} << 40) - 1), (uint64_t{822569775 & 0xff} << 32) | 2137449171u);
}

TEST(NumpyRandom, IntervalRejectsInsteadOfFolding) {
  NumpyRandom rejecting(1234);
  const uint32_t words[] = {822569775u, 2137449171u, 2671936806u, 3512589365u};
  const uint64_t max = 600000000;
  uint64_t expected = 0;
  for (const uint32_t word : words) {
    expected = word & 0x3fffffffu;
    if (expected <= max) break;
  }
  ASSERT_LE(expected, max);
  ASSERT_NE(expected, words[0] & 0x3fffffffu);
  EXPECT_EQ(rejecting.interval(max), expected);
}

TEST(TorchRandperm, Vectors) {
  EXPECT_EQ(torch_randperm(10, 0), (std::vector<uint32_t>{4, 1, 7, 5, 3, 9, 0, 8, 6, 2}));
  EXPECT_EQ(torch_randperm(10, 1), (std::vector<uint32_t>{5, 6, 1, 2, 0, 8, 9, 3, 7, 4}));
}

TEST(TorchRandperm, SmallAndTooLarge) {
  EXPECT_TRUE(torch_randperm(0, 0).empty());
  EXPECT_EQ(torch_randperm(1, 7), std::vector<uint32_t>{0});
  EXPECT_THROW(torch_randperm(214748364, 0), UserError);
}

}  // namespace
}  // namespace timetrial
