// Latent attention as a block: gradients of everything, names, memory, causality. Its values are held against plain
// loops by the whole-model tests. SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/latent_attention.h"

#include "nn/block_bench.h"
#include "timetrial/ops/rope.h"

namespace timetrial::testing {
namespace {

constexpr int64_t kLength = 5, kHidden = 6;

struct Angles {
  explicit Angles(DType dtype) : cos(dtype, {kLength, 2}), sin(dtype, {kLength, 2}), table{.cos = cos, .sin = sin} {
    ops::fill_rope_table({.cos = cos, .sin = sin}, {.head_dim = 4, .base = 10}, {});
  }
  OwnedTensor cos, sin;
  nn::RotaryTable table;
};

BlockBench<nn::LatentAttention> make_bench(const Angles& angles, int64_t tokens = kLength) {
  return BlockBench<nn::LatentAttention>(
      [&](ModuleContext& context) {
        return nn::LatentAttention(context, "a",
                                   {.hidden = kHidden,
                                    .heads = 2,
                                    .query_rank = 5,
                                    .kv_rank = 3,
                                    .nope_dim = 2,
                                    .rope_dim = 4,
                                    .value_dim = 3,
                                    .sequence_length = kLength,
                                    .norm_epsilon = 1e-6,
                                    .score_factor = 1.5,
                                    .init_std = 0.6,
                                    .output_init_std = 0.5},
                                   angles.table);
      },
      {.tokens = tokens, .width = kHidden});
}

TEST(LatentAttentionBlock, GradientsMatchCentralDifferences) {
  const Angles angles(DType::f64);
  auto bench = make_bench(angles, 2 * kLength);
  bench.expect_gradients(normal_values(2 * kLength * kHidden, 1), normal_values(2 * kLength * kHidden, 2));
}

TEST(LatentAttentionBlock, SeesNoLaterToken) {
  const Angles angles(DType::f64);
  auto bench = make_bench(angles);
  Values x = normal_values(kLength * kHidden, 1);
  const Values before = bench.forward(x);
  x.back() += 1;  // of the last token
  const Values after = bench.forward(x);
  const auto last = static_cast<std::ptrdiff_t>((kLength - 1) * kHidden);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + last, after.begin()));
  EXPECT_FALSE(std::equal(before.begin() + last, before.end(), after.begin() + last));
}

TEST(LatentAttentionBlock, DeclaresItsParametersAndScratch) {
  const Angles angles(DType::f64);
  auto bench = make_bench(angles);
  const std::pair<const char*, Shape> expected[] = {{"a.q_down.weight", {5, 6}}, {"a.q_norm.weight", {5}},
                                                    {"a.q_up.weight", {12, 5}},  {"a.kv_down.weight", {7, 6}},
                                                    {"a.kv_norm.weight", {3}},   {"a.kv_up.weight", {10, 3}},
                                                    {"a.output.weight", {6, 6}}};
  ASSERT_EQ(bench.parameters().size(), 7);
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(bench.parameters().specs()[i].name, expected[i].first);
    EXPECT_EQ(bench.parameters().specs()[i].shape, expected[i].second);
  }
  bench.backward(normal_values(kLength * kHidden, 1), normal_values(kLength * kHidden, 2));
  EXPECT_EQ(bench.scratch_high_water(), bench.train_plan().scratch_bytes());
}

}  // namespace
}  // namespace timetrial::testing
