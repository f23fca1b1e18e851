// The dense feed-forward block: the formula by hand, gradients of everything, names and memory it declares.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/nn/mlp.h"

#include <cmath>

#include "nn/block_bench.h"

namespace timetrial::testing {
namespace {

constexpr int64_t kTokens = 5, kHidden = 6, kFfn = 7;

BlockBench<nn::Mlp> make_bench(DType dtype = DType::f64) {
  return BlockBench<nn::Mlp>(
      [](ModuleContext& context) {
        return nn::Mlp(context, "mlp", {.hidden = kHidden, .ffn = kFfn, .init_std = 0.5, .output_init_std = 0.3});
      },
      {.tokens = kTokens, .width = kHidden}, dtype);
}

// out = W2 (silu(g) u), [g ; u] = W1 x, in plain loops.
Values by_hand(const Values& x, const Values& fc1, const Values& fc2) {
  Values out(static_cast<size_t>(kTokens * kHidden));
  for (int64_t t = 0; t < kTokens; ++t) {
    Values activated;
    for (int64_t f = 0; f < kFfn; ++f) {
      double g = 0, u = 0;
      for (int64_t c = 0; c < kHidden; ++c) {
        g += fc1[static_cast<size_t>(f * kHidden + c)] * x[static_cast<size_t>(t * kHidden + c)];
        u += fc1[static_cast<size_t>((kFfn + f) * kHidden + c)] * x[static_cast<size_t>(t * kHidden + c)];
      }
      activated.push_back(g / (1 + std::exp(-g)) * u);
    }
    for (int64_t c = 0; c < kHidden; ++c)
      for (int64_t f = 0; f < kFfn; ++f)
        out[static_cast<size_t>(t * kHidden + c)] +=
            fc2[static_cast<size_t>(c * kFfn + f)] * activated[static_cast<size_t>(f)];
  }
  return out;
}

TEST(MlpBlock, IsTheFormula) {
  auto bench = make_bench();
  const Values x = normal_values(kTokens * kHidden, 1);
  const Values expected = by_hand(x, bench.weight(0), bench.weight(1));
  for (Mode mode : {Mode::evaluate, Mode::train}) {
    const Values out = bench.forward(x, mode);
    for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], expected[i], 1e-13);
  }
}

TEST(MlpBlock, GradientsMatchCentralDifferences) {
  auto bench = make_bench();
  bench.expect_gradients(normal_values(kTokens * kHidden, 1), normal_values(kTokens * kHidden, 2));
}

TEST(MlpBlock, FloatAgreesWithDouble) {
  auto fine = make_bench(), coarse = make_bench(DType::f32);
  for (int i = 0; i < 2; ++i) coarse.set_weight(i, fine.weight(i));
  const Values x = normal_values(kTokens * kHidden, 1), cotangent = normal_values(kTokens * kHidden, 2);
  const Values d_fine = fine.backward(x, cotangent), d_coarse = coarse.backward(x, cotangent);
  for (size_t i = 0; i < d_fine.size(); ++i) EXPECT_NEAR(d_coarse[i], d_fine[i], 1e-5);
}

TEST(MlpBlock, DeclaresItsParametersAndScratch) {
  auto bench = make_bench();
  ASSERT_EQ(bench.parameters().size(), 2);
  EXPECT_EQ(bench.parameters().specs()[0].name, "mlp.fc1.weight");
  EXPECT_EQ(bench.parameters().specs()[0].shape, (Shape{2 * kFfn, kHidden}));
  EXPECT_EQ(bench.parameters().specs()[0].init.standard_deviation, 0.5);
  EXPECT_EQ(bench.parameters().specs()[1].name, "mlp.fc2.weight");
  EXPECT_EQ(bench.parameters().specs()[1].shape, (Shape{kHidden, kFfn}));
  EXPECT_EQ(bench.parameters().specs()[1].init.standard_deviation, 0.3);
  bench.backward(normal_values(kTokens * kHidden, 1), normal_values(kTokens * kHidden, 2));
  EXPECT_EQ(bench.scratch_high_water(), bench.train_plan().scratch_bytes());
}

}  // namespace
}  // namespace timetrial::testing
