// Counting of chosen experts, the sign rule of the bias, storage rounding and columns: small ops, hand values, parity.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/expert_bias.h"

#include <cmath>
#include <limits>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"
#include "timetrial/ops/columns.h"
#include "timetrial/ops/rounding.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

TEST(ExpertBias, CountsAccumulate) {
  Bench bench;
  const OwnedTensor counts(DType::i32, {4});
  fill_zero(counts.view().raw(), counts.view().bytes(), {});
  count_experts({.counts = counts, .expert = bench.input_i32({3, 2}, {0, 3, 3, 1, 3, 0})}, {});
  EXPECT_EQ(to_host_i32(counts, {}), (std::vector<int32_t>{2, 1, 0, 3}));
  count_experts({.counts = counts, .expert = bench.input_i32({1, 2}, {2, 0})}, {});
  EXPECT_EQ(to_host_i32(counts, {}), (std::vector<int32_t>{3, 1, 1, 3}));
  EXPECT_THROW(count_experts({.counts = counts, .expert = bench.input_i32({1, 1}, {4})}, {}), Error);
  EXPECT_THROW(count_experts({.counts = counts, .expert = bench.input_i32({1, 1}, {-1})}, {}), Error);
}

// Mean 2.25: above it down, below it up. A count equal to the mean leaves its bias as it is.
TEST(ExpertBias, MovesAgainstTheLoad) {
  Bench bench;
  const Tensor uneven = bench.in_out("bias", {4}, {0.5, 0, 0, -1});
  expert_bias_update({.bias = uneven, .counts = bench.input_i32({4}, {2, 3, 0, 4}), .rate = 1e-3}, {});
  expect_close(bench.values(uneven), {0.501, -1e-3, 1e-3, -1.001}, {1e-14, 0}, "bias");
  const Tensor even = bench.in_out("bias", {4}, {0.5, 0, 0, -1});
  expert_bias_update({.bias = even, .counts = bench.input_i32({4}, {2, 1, 2, 3}), .rate = 1e-3}, {});
  expect_close(bench.values(even), {0.5, 1e-3, 0, -1.001}, {1e-14, 0}, "bias");
}

// The product of a large count with the number of experts does not fit 32 bits, and a float would lose the last one.
TEST(ExpertBias, ComparesExactly) {
  Bench bench;
  const Tensor bias = bench.in_out("bias", {2}, {0, 0});
  expert_bias_update({.bias = bias, .counts = bench.input_i32({2}, {2147483646, 2147483647}), .rate = 1}, {});
  EXPECT_EQ(bench.values(bias), (Values{1, -1}));
}

TEST(RoundToBfloat16, NearestTiesToEven) {
  const OwnedTensor x(DType::f32, {6});
  from_host(x, {1, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1.8p-8, -0.1f, 1e-30f}, {});
  round_to_bfloat16({.x = x}, {});
  const Values rounded = to_host(x, {});
  EXPECT_EQ(rounded[0], 1);
  EXPECT_EQ(rounded[1], 1);           // a tie, to the even neighbour
  EXPECT_EQ(rounded[2], 1 + 0x1p-6);  // a tie, up to the even neighbour
  EXPECT_EQ(rounded[3], 1 + 0x1p-7);  // above the middle
  EXPECT_EQ(rounded[4], -0.10009765625);
  EXPECT_NEAR(rounded[5] / 1e-30, 1, 0x1p-8);
  const Values once = rounded;
  round_to_bfloat16({.x = x}, {});
  EXPECT_EQ(to_host(x, {}), once);
  from_host(x, Values(6, std::numeric_limits<double>::quiet_NaN()), {});
  round_to_bfloat16({.x = x}, {});
  for (const double value : to_host(x, {})) EXPECT_TRUE(std::isnan(value));
  EXPECT_THROW(round_to_bfloat16({.x = OwnedTensor(DType::f64, {2})}, {}), Error);
}

TEST(Columns, JoinAndSplit) {
  Bench bench;
  const Tensor left = bench.input({2, 1}, {1, 4}), right = bench.input({2, 2}, {2, 3, 5, 6});
  const Tensor joined = bench.output("joined", {2, 3}), a = bench.output("a", {2, 1}), b = bench.output("b", {2, 2});
  join_columns({.out = joined, .left = left, .right = right}, {});
  EXPECT_EQ(bench.values(joined), (Values{1, 2, 3, 4, 5, 6}));
  split_columns({.left = a, .right = b, .x = joined}, {});
  EXPECT_EQ(bench.values(a), (Values{1, 4}));
  EXPECT_EQ(bench.values(b), (Values{2, 3, 5, 6}));
  EXPECT_THROW(join_columns({.out = joined, .left = left, .right = left}, {}), Error);
  EXPECT_THROW(split_columns({.left = a, .right = a, .x = joined}, {}), Error);
}

class SmallOpsParity : public PlaceTest {};

TEST_P(SmallOpsParity, ColumnsBiasAndCounts) {
  expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
    const Tensor left = bench.input({37, 5}, random_values(185, 1)),
                 right = bench.input({37, 64}, random_values(2368, 2));
    const Tensor joined = bench.output("joined", {37, 69});
    join_columns({.out = joined, .left = left, .right = right}, bench.stream());
    split_columns({.left = bench.output("left", {37, 5}), .right = bench.output("right", {37, 64}), .x = joined},
                  bench.stream());
    const Tensor bias = bench.in_out_statistics("bias", {9}, random_values(9, 3));
    expert_bias_update({.bias = bias, .counts = bench.input_i32({9}, random_ids(9, 50, 4)), .rate = 1e-3},
                       bench.stream());
  });
}

INSTANTIATE_TEST_SUITE_P(Places, SmallOpsParity, ::testing::ValuesIn(places()), place_test_name);

class SmallOpsOnDevice : public DeviceTest {};

TEST_P(SmallOpsOnDevice, CountsAndRoundsAsTheHostDoes) {
  const std::vector<int32_t> ids = random_ids(3000, 7, 5);
  const OwnedTensor expert(DType::i32, {1000, 3}, device()), counts(DType::i32, {7}, device());
  copy_bytes(expert.view().raw(), device(), ids.data(), {}, ids.size() * sizeof(int32_t), stream());
  count_experts({.counts = counts, .expert = expert}, stream());
  std::vector<int32_t> expected(7, 0);
  for (const int32_t id : ids) ++expected[static_cast<size_t>(id)];
  EXPECT_EQ(to_host_i32(counts, stream()), expected);

  const Values values = random_values(5000, 6, -3, 3);
  const OwnedTensor x(DType::f32, {5000}, device());
  from_host(x, values, stream());
  round_to_bfloat16({.x = x}, stream());
  const Values rounded = to_host(x, stream());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(rounded[i], round_to(DType::bf16, values[i]));
}

INSTANTIATE_TEST_SUITE_P(Devices, SmallOpsOnDevice, ::testing::ValuesIn(devices()), device_test_name);

}  // namespace
}  // namespace timetrial::ops
