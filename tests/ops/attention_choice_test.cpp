// Who computes attention on a GPU, and the window in cuDNN's words. Needs no GPU.
// SPDX-License-Identifier: Apache-2.0
#include "ops/attention_choice.h"

#include <gtest/gtest.h>

namespace timetrial::ops {
namespace {

constexpr AttentionPlace kHopper{DType::bf16, 90, 91900}, kBlackwell{DType::bf16, 100, 91900};

AttentionShape gpt_oss() {
  return {.batch = 2,
          .length = 8192,
          .heads = 64,
          .kv_heads = 8,
          .head_dim = 64,
          .window_keys = 128,
          .scale = 0.125,
          .sinks = true};
}

AttentionChoice choose(const AttentionShape& shape, const AttentionPlace& place, AttentionSettings settings = {}) {
  return attention_backend(shape, settings, place);
}

// Own kernels, for a reason that says `words`; forcing cuDNN then is the user's error.
void expect_own(const AttentionShape& shape, const AttentionPlace& place, const std::string& words,
                AttentionSettings settings = {}) {
  const AttentionChoice choice = choose(shape, place, settings);
  EXPECT_FALSE(choice.fused) << words;
  EXPECT_NE(choice.reason.find(words), std::string::npos) << choice.reason;
  settings.kernels = AttentionKernels::cudnn;
  EXPECT_THROW(choose(shape, place, settings), UserError) << words;
}

TEST(AttentionBackend, WorkloadShapesGoToCudnn) {
  AttentionShape full = gpt_oss(), llama = gpt_oss(), latent = gpt_oss();
  full.window_keys = 0;
  llama = {.batch = 1, .length = 8192, .heads = 128, .kv_heads = 8, .head_dim = 128, .window_keys = 0, .scale = 0.09};
  latent = {.batch = 1,
            .length = 4096,
            .heads = 128,
            .kv_heads = 128,
            .head_dim = 192,
            .window_keys = 0,
            .scale = 0.1,
            .value_channels = 128};
  for (const AttentionShape& shape : {gpt_oss(), full, llama, latent})
    for (const AttentionPlace& place : {kHopper, kBlackwell}) {
      const AttentionChoice choice = choose(shape, place);
      EXPECT_TRUE(choice.fused) << text_of(shape) << ": " << choice.reason;
      EXPECT_EQ(choice.reason, "");
    }
}

TEST(AttentionBackend, OwnKernelsByConfig) {
  const AttentionChoice choice = choose(gpt_oss(), kHopper, {.kernels = AttentionKernels::own});
  EXPECT_FALSE(choice.fused);
  EXPECT_EQ(choice.reason, "device.attention is own");
}

TEST(AttentionBackend, TypesChipsAndVersions) {
  expect_own(gpt_oss(), {DType::f32, 90, 91900}, "bf16, not f32");
  expect_own(gpt_oss(), {DType::bf16, 80, 91900}, "8.0");
  expect_own(gpt_oss(), {DType::bf16, 120, 91900}, "12.0");
  expect_own(gpt_oss(), {DType::bf16, 90, 91002}, "9.10.2 is older than 9.11.0");
}

TEST(AttentionBackend, SinksNeedAVersion) {
  AttentionShape shape = gpt_oss();
  expect_own(shape, {DType::bf16, 90, 91200}, "sinks need cuDNN 9.13.0");
  EXPECT_TRUE(choose(shape, {DType::bf16, 90, 91300}).fused);
  shape.sinks = false;
  EXPECT_TRUE(choose(shape, {DType::bf16, 90, 91200}).fused);
}

TEST(AttentionBackend, HeadWidths) {
  const auto with = [](int64_t head_dim, int64_t values) {
    AttentionShape shape = gpt_oss();
    shape.head_dim = head_dim;
    shape.value_channels = values;
    return shape;
  };
  expect_own(with(60, 0), kHopper, "multiples of 8");
  expect_own(with(64, 20), kHopper, "multiples of 8");
  EXPECT_TRUE(choose(with(256, 0), kHopper).fused);
  expect_own(with(264, 0), kHopper, "up to 256");
  EXPECT_TRUE(choose(with(192, 128), kBlackwell).fused);
  expect_own(with(192, 0), kBlackwell, "up to 128");
  expect_own(with(128, 192), kBlackwell, "up to 128");
}

TEST(AttentionBackend, Lengths) {
  AttentionShape shape = gpt_oss();
  shape.length = 1;
  expect_own(shape, kHopper, "one token");
  shape.length = 200;
  EXPECT_TRUE(choose(shape, kHopper).fused);
  expect_own(shape, {DType::bf16, 90, 91500}, "no multiple of 128");
  shape.length = 256;
  EXPECT_TRUE(choose(shape, {DType::bf16, 90, 91500}).fused);
}

TEST(AttentionBackend, DeterministicOnBlackwellNeedsAVersion) {
  const AttentionSettings deterministic{.deterministic = true};
  expect_own(gpt_oss(), {DType::bf16, 100, 91700}, "deterministic", deterministic);
  EXPECT_TRUE(choose(gpt_oss(), {DType::bf16, 100, 91800}, deterministic).fused);
  EXPECT_TRUE(choose(gpt_oss(), {DType::bf16, 90, 91700}, deterministic).fused);
}

TEST(AttentionBackend, TextNamesTheShape) {
  AttentionShape shape = gpt_oss();
  EXPECT_EQ(text_of(shape), "64/8 heads of 64, 2 x 8192 tokens, window 128, sinks");
  shape.window_keys = 0;
  shape.sinks = false;
  shape.value_channels = 32;
  EXPECT_EQ(text_of(shape), "64/8 heads of 64, values of 32, 2 x 8192 tokens");
}

// cuDNN's rule in its frontend's own reference: a key is masked when key > query (right bound 0) or
// key - query <= -left_bound.
bool cudnn_sees(int64_t query, int64_t key, std::optional<int64_t> left_bound) {
  return key <= query && !(left_bound && key - query <= -*left_bound);
}

TEST(CudnnWindow, LeftBoundShowsTheSameKeys) {
  AttentionShape shape = gpt_oss();
  shape.length = 9;
  for (const int64_t window : {0, 1, 2, 3, 8, 9, 10, 100}) {
    shape.window_keys = window;
    const auto bound = cudnn_left_bound(shape);
    for (int64_t query = 0; query < shape.length; ++query)
      for (int64_t key = 0; key < shape.length; ++key) {
        const bool sees = key <= query && (window == 0 || query - key < window);
        EXPECT_EQ(cudnn_sees(query, key, bound), sees) << "window " << window << " query " << query << " key " << key;
      }
  }
}

TEST(CudnnWindow, CountsTheQueryItself) {
  AttentionShape shape = gpt_oss();
  EXPECT_EQ(cudnn_left_bound(shape), 128);  // Transformer Engine's window_size is (127, 0)
  shape.window_keys = 0;
  EXPECT_EQ(cudnn_left_bound(shape), std::nullopt);
  shape.window_keys = shape.length;
  EXPECT_EQ(cudnn_left_bound(shape), std::nullopt);
  shape.window_keys = shape.length - 1;
  EXPECT_EQ(cudnn_left_bound(shape), shape.length - 1);
}

}  // namespace
}  // namespace timetrial::ops
