// Counts against the tables of the specification (1.2, 14, 15.2), visible keys against counting them one by one.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/model_shape.h"

#include <algorithm>
#include <cmath>
#include <ostream>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

struct Counted {
  const char *variant, *form;
  int64_t total, active, matmul;
  double train_flops_per_token;
};

void PrintTo(const Counted& c, std::ostream* stream) { *stream << c.variant << " " << c.form; }

class ModelShapeCounts : public testing::TestWithParam<Counted> {};

TEST_P(ModelShapeCounts, AreTheSpecifications) {
  const Counted& want = GetParam();
  const ModelCounts counts = count(parse(user_config(want.variant), {{"form", want.form}}).model);
  EXPECT_EQ(counts.total, want.total);
  EXPECT_EQ(counts.active, want.active);
  EXPECT_EQ(counts.matmul, want.matmul);
  EXPECT_EQ(counts.train_flops_per_token, want.train_flops_per_token);
  EXPECT_EQ(counts.attention_train_flops_per_token, want.train_flops_per_token - 6 * static_cast<double>(want.matmul));
}

// Full size: spec 1.2 and 14. Proxies: parameters from spec 15.2, FLOPs from summing the visible keys of every query
// at the variants' sequence lengths (64, 256, 2048).
INSTANTIATE_TEST_SUITE_P(Spec, ModelShapeCounts,
                         testing::Values(Counted{"full", "reference", 20488418112, 3766907712, 3397386240, 22876024320},
                                         Counted{"full", "submitted", 20495244864, 3767928384, 3397386240, 22875443712},
                                         Counted{"full", "published", 20914757184, 4187440704, 3607142400, 24133980672},
                                         Counted{"1m", "reference", 1196000, 532448, 433152, 2724672},
                                         Counted{"1m", "submitted", 1206176, 535712, 433152, 2721984},
                                         Counted{"1m", "published", 1206176, 535712, 433152, 2721984},
                                         Counted{"10m", "reference", 9551296, 4242880, 3452928, 22498944},
                                         Counted{"10m", "submitted", 9592192, 4256128, 3452928, 22487424},
                                         Counted{"1b", "reference", 1063257088, 237503488, 195543040, 1258006272},
                                         Counted{"1b", "submitted", 1064017024, 237618304, 195543040, 1257937152}));

TEST(ModelShapeWindow, CoversOddLayersCountedFromOne) {
  ModelShape shape;
  EXPECT_FALSE(shape.windowed(0));  // no window at all
  shape.window_keys = 1;
  EXPECT_TRUE(shape.windowed(0));
  EXPECT_FALSE(shape.windowed(1));
  EXPECT_TRUE(shape.windowed(22));
  EXPECT_FALSE(shape.windowed(23));
}

// With three layers, two are windowed: attention per token is 3 * 2 H 2d * (2 windowed + 1 full).
TEST(ModelShapeWindow, DecidesWhichLayersCostLess) {
  ModelShape shape = parse(user_config()).model;
  shape.layers = 3;
  const double keys = 2 * mean_visible_keys(64, 8) + mean_visible_keys(64, 0);
  EXPECT_DOUBLE_EQ(count(shape).attention_train_flops_per_token, 3 * 2 * 8 * 32 * keys);
}

TEST(MeanVisibleKeys, AreTheSpecifications) {
  EXPECT_EQ(mean_visible_keys(8192, 0), 4096.5);
  EXPECT_EQ(mean_visible_keys(4096, 0), 2048.5);
  EXPECT_EQ(mean_visible_keys(8192, 129), 127.9921875);
  EXPECT_EQ(mean_visible_keys(8192, 128), 127.0078125);
}

TEST(MeanVisibleKeys, AreWhatCountingGives) {
  for (const int64_t sequence : {1, 2, 7, 64}) {
    for (const int64_t window : {1, 2, 6, 7, 8, 10, 63, 64, 65, 100, 1000}) {
      int64_t keys = 0;
      for (int64_t query = 0; query < sequence; ++query) keys += std::min(query + 1, window);
      EXPECT_DOUBLE_EQ(mean_visible_keys(sequence, window), static_cast<double>(keys) / static_cast<double>(sequence))
          << sequence << " tokens, window " << window;
    }
  }
  EXPECT_THROW(mean_visible_keys(0, 0), Error);
  EXPECT_THROW(mean_visible_keys(8, -1), Error);
}

// Every form of every variant keeps std * sqrt(hidden): 0.02 sqrt(2880) as submitted, 0.008 sqrt(2880) in the
// reference (spec 15.2).
TEST(InitialSpread, ScalesWithTheWidth) {
  for (const auto& [variant, content] : benchmark()["variants"].items()) {
    for (const auto& [form, wanted] : {std::pair{"submitted", 0.02}, {"published", 0.02}, {"reference", 0.008}}) {
      const ModelShape shape = parse(user_config(variant), {{"form", form}}).model;
      EXPECT_NEAR(shape.init_std * std::sqrt(static_cast<double>(shape.hidden)), wanted * std::sqrt(2880.0), 1e-12)
          << variant << " " << form;
      EXPECT_EQ(shape.router_bias_std, shape.linear_bias ? shape.init_std : 0) << variant << " " << form;
    }
  }
}

// The reference sees one key more than the other forms, in every variant (spec 15.2).
TEST(WindowKeys, AreOneMoreInTheReference) {
  for (const auto& [variant, content] : benchmark()["variants"].items()) {
    const int64_t submitted = parse(user_config(variant)).model.window_keys;
    EXPECT_EQ(parse(user_config(variant), {{"form", "reference"}}).model.window_keys, submitted + 1) << variant;
    EXPECT_EQ(parse(user_config(variant), {{"form", "published"}}).model.window_keys, submitted) << variant;
  }
}

class ModelShapeRules : public testing::Test {
 protected:
  std::string error() const {
    return config_error([this] { validate(shape_, "/model"); });
  }
  ModelShape shape_ = parse(user_config()).model;
};

TEST_F(ModelShapeRules, NamesFieldNumbersAndFix) {
  shape_.heads = 12;
  shape_.kv_heads = 8;
  EXPECT_EQ(error(), "/model/heads: 12 heads are not a multiple of 8 kv_heads; use 16 heads");
}

TEST_F(ModelShapeRules, BoundExperts) {
  shape_.experts_per_token = 9;
  EXPECT_EQ(error(), "/model/experts_per_token: 9 are more than the 8 experts there are; use at most 8");
  shape_.experts_per_token = 8;
  EXPECT_EQ(error(), "no error");
  shape_.experts_per_token = 0;
  EXPECT_EQ(error(), "/model/experts_per_token: 0, but there are 8 experts; use at least 1, or no experts");
  shape_.experts = 0;
  EXPECT_EQ(error(), "no error");
}

TEST_F(ModelShapeRules, WantPairsOfChannels) {
  shape_.head_dim = 15;
  EXPECT_EQ(error(), "/model/head_dim: 15 is odd, but rotary embedding turns pairs; use 16");
}

TEST_F(ModelShapeRules, WantPositiveExtents) {
  using Extent = int64_t ModelShape::*;
  for (const Extent extent :
       {&ModelShape::layers, &ModelShape::hidden, &ModelShape::heads, &ModelShape::kv_heads, &ModelShape::head_dim,
        &ModelShape::ffn, &ModelShape::vocabulary, &ModelShape::vocabulary_multiple, &ModelShape::sequence_length}) {
    const int64_t kept = std::exchange(shape_.*extent, 0);
    EXPECT_NE(error().find(": 0 must be at least 1"), std::string::npos) << error();
    shape_.*extent = kept;
  }
  shape_.window_keys = -3;
  EXPECT_EQ(error(), "/model/window_keys: -3 must be at least 0");
  shape_.window_keys = 0;
  EXPECT_EQ(error(), "no error");
}

TEST_F(ModelShapeRules, RefuseWhatPlainRopeWouldIgnore) {
  shape_.rope.factor = 32;
  EXPECT_EQ(error(), "/model/rope/factor: 32 has no effect with plain RoPE; set it to 1, or rope.kind to yarn");
  shape_.rope.kind = RopeKind::yarn;
  EXPECT_EQ(error(), "/model/rope/original_length: 0 must be at least 1");
  shape_.rope.original_length = 4096;
  EXPECT_EQ(error(), "no error");
  shape_.rope.beta_slow = 32;
  EXPECT_EQ(error(), "/model/rope/beta_fast: 32 must be above beta_slow 32");
}

TEST_F(ModelShapeRules, HoldLlamasRotaryNumbers) {
  shape_.rope = {.kind = RopeKind::llama31, .base = 500000, .factor = 8, .original_length = 8192};
  EXPECT_EQ(error(), "no error");
  shape_.rope.high_frequency_factor = 1;
  EXPECT_EQ(error(), "/model/rope/high_frequency_factor: 1 must be above low_frequency_factor 1");
  shape_.rope.high_frequency_factor = 4;
  shape_.rope.beta_fast = 16;
  EXPECT_EQ(error(), "/model/rope/beta_fast: 16 has no effect with Llama 3.1 RoPE; set it to 32, or rope.kind to yarn");
}

TEST_F(ModelShapeRules, RefuseABiasSpreadWithoutBiases) {
  shape_.linear_bias = false;
  shape_.router_bias_std = 0.5;
  EXPECT_EQ(error(), "/model/router_bias_std: 0.5 has no effect without biases; set it to 0, or linear_bias to true");
}

TEST_F(ModelShapeRules, RefuseNumbersThatAreNone) {
  shape_.norm_epsilon = std::nan("");
  EXPECT_EQ(error(), "/model/norm_epsilon: nan must be above 0");
  shape_.norm_epsilon = 1e-5;
  shape_.init_std = -1;
  EXPECT_EQ(error(), "/model/init_std: -1 must be at least 0");
}

TEST_F(ModelShapeRules, RefuseMoreThanCanBeCounted) {
  shape_.hidden = shape_.ffn = 1000000000;
  shape_.layers = 100000;
  EXPECT_EQ(error().substr(0, 33), "/model: about 2.4e+24 parameters ");
}

}  // namespace
}  // namespace timetrial
