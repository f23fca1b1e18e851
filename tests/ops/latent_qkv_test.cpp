// Latent attention's queries, keys and values: hand values, the same scores as half-rotation, gradients, parity.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/latent_qkv.h"

#include <cmath>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"
#include "timetrial/ops/rope.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

struct Case {
  int64_t rows, length;
  LatentShape shape;
  uint64_t seed = 1;
  Values q() const { return random_values({rows, shape.query_width()}, seed); }
  Values kv() const { return random_values({rows, shape.key_value_width()}, seed + 1); }
  Values key() const { return random_values({rows, shape.rope_dim}, seed + 2); }
  Values d_qkv() const { return random_values({rows, shape.qkv_width()}, seed + 3); }
  Values cosines() const { return angles(false); }
  Values sines() const { return angles(true); }

 private:
  Values angles(bool sine) const {
    Values result;
    for (int64_t t = 0; t < length; ++t)
      for (const double f : rope_frequencies({.head_dim = shape.rope_dim, .base = 100}))
        result.push_back(sine ? std::sin(static_cast<double>(t) * f) : std::cos(static_cast<double>(t) * f));
    return result;
  }
};

Tensor forward(Bench& bench, const Case& c, const Values& q, const Values& kv, const Values& key) {
  const LatentShape& s = c.shape;
  const Tensor qkv = bench.output("qkv", {c.rows, s.qkv_width()});
  latent_qkv_forward({.qkv = qkv,
                      .q = bench.input({c.rows, s.query_width()}, q),
                      .kv = bench.input({c.rows, s.key_value_width()}, kv),
                      .key_rope = bench.input({c.rows, s.rope_dim}, key),
                      .cos = bench.input_statistics({c.length, s.rope_dim / 2}, c.cosines()),
                      .sin = bench.input_statistics({c.length, s.rope_dim / 2}, c.sines()),
                      .shape = s},
                     bench.stream());
  return qkv;
}

struct Gradients {
  Tensor q, kv, key;
};
Gradients backward(Bench& bench, const Case& c) {
  const LatentShape& s = c.shape;
  const Gradients d = {bench.output("d_q", {c.rows, s.query_width()}),
                       bench.output("d_kv", {c.rows, s.key_value_width()}),
                       bench.output("d_key_rope", {c.rows, s.rope_dim})};
  latent_qkv_backward({.d_q = d.q,
                       .d_kv = d.kv,
                       .d_key_rope = d.key,
                       .d_qkv = bench.input({c.rows, s.qkv_width()}, c.d_qkv()),
                       .cos = bench.input_statistics({c.length, s.rope_dim / 2}, c.cosines()),
                       .sin = bench.input_statistics({c.length, s.rope_dim / 2}, c.sines()),
                       .shape = s},
                      bench.stream());
  return d;
}

// Two heads of 1 + 2 channels, values of 1; row 1 turns by 90 degrees: (x, y) becomes (-y, x).
TEST(LatentQkv, HandValues) {
  Bench bench;
  const LatentShape shape{.heads = 2, .nope_dim = 1, .rope_dim = 2, .value_dim = 1};
  const Tensor qkv = bench.output("qkv", {2, shape.qkv_width()});
  latent_qkv_forward({.qkv = qkv,
                      .q = bench.input({2, 6}, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}),
                      .kv = bench.input({2, 4}, {10, 20, 30, 40, 10, 20, 30, 40}),
                      .key_rope = bench.input({2, 2}, {7, 8, 7, 8}),
                      .cos = bench.input({2, 1}, {1, 0}),
                      .sin = bench.input({2, 1}, {0, 1}),
                      .shape = shape},
                     {});
  const Values expected = {1, 2,  3, 4, 5,  6, 10, 7,  8, 30, 7,  8, 20, 40,  //
                           1, -3, 2, 4, -6, 5, 10, -8, 7, 30, -8, 7, 20, 40};
  EXPECT_EQ(bench.values(qkv), expected);
}

// Spec 2.5: rotating adjacent pairs in place gives the same scores as permuting to (even, odd) and half-rotating.
TEST(LatentQkv, ScoresEqualThoseOfHalfRotation) {
  const Case c = {7, 7, {.heads = 1, .nope_dim = 2, .rope_dim = 6, .value_dim = 1}};
  Bench bench;
  const Values qkv = bench.values(forward(bench, c, c.q(), c.kv(), c.key()));
  const auto halves = [&](const Values& rows, size_t width, size_t begin) {
    Values out;
    for (size_t r = 0; r < 7; ++r)
      for (size_t i = 0; i < 6; ++i) out.push_back(rows[r * width + begin + (i < 3 ? 2 * i : 2 * (i - 3) + 1)]);
    const Tensor x = bench.in_out("half", {7, 6}, out);
    rope_forward({.x = x, .cos = bench.input({7, 3}, c.cosines()), .sin = bench.input({7, 3}, c.sines()), .heads = 1},
                 {});
    return bench.values(x);
  };
  const Values q = halves(c.q(), 8, 2), k = halves(c.key(), 6, 0);
  for (size_t i = 0; i < 7; ++i)
    for (size_t j = 0; j < 7; ++j) {
      double expected = 0, score = 0;
      for (size_t n = 0; n < 6; ++n) {
        expected += q[i * 6 + n] * k[j * 6 + n];
        score += qkv[i * 17 + 2 + n] * qkv[j * 17 + 8 + 2 + n];
      }
      EXPECT_NEAR(score, expected, 1e-13);
    }
}

TEST(LatentQkv, GradientsAreCentralDifferences) {
  const Case c = {6, 3, {.heads = 3, .nope_dim = 2, .rope_dim = 4, .value_dim = 3}};
  Bench bench;
  const Gradients d = backward(bench, c);
  expect_gradients(
      [&](const std::vector<Values>& at) {
        Bench fresh;
        return dot(fresh.values(forward(fresh, c, at[0], at[1], at[2])), c.d_qkv());
      },
      {{"q", c.q(), bench.values(d.q)},
       {"kv", c.kv(), bench.values(d.kv)},
       {"key_rope", c.key(), bench.values(d.key)}});
}

class LatentQkvParity : public PlaceTest {};

TEST_P(LatentQkvParity, ForwardAndBackward) {
  for (const auto& [rows, length, shape] : {std::tuple<int64_t, int64_t, LatentShape>{15, 5, {4, 16, 8, 16}},
                                            {7, 7, {1, 1, 2, 3}},
                                            {66, 33, {8, 32, 16, 32}}})
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Case c = {rows, length, shape, 9};
      forward(bench, c, c.q(), c.kv(), c.key());
      backward(bench, c);
    });
}

INSTANTIATE_TEST_SUITE_P(Places, LatentQkvParity, ::testing::ValuesIn(places()), place_test_name);

TEST(LatentQkv, RefusesWhatDoesNotFit) {
  const LatentShape s{.heads = 2, .nope_dim = 2, .rope_dim = 2, .value_dim = 3};
  const OwnedTensor qkv(DType::f32, {4, 22}), q(DType::f32, {4, 8}), kv(DType::f32, {4, 10}), key(DType::f32, {4, 2});
  const OwnedTensor angle(DType::f32, {2, 1}), long_angle(DType::f32, {3, 1});
  EXPECT_NO_THROW(latent_qkv_forward({qkv, q, kv, key, angle, angle, s}, {}));
  EXPECT_THROW(latent_qkv_forward({q, q, kv, key, angle, angle, s}, {}), Error);
  EXPECT_THROW(latent_qkv_forward({qkv, kv, kv, key, angle, angle, s}, {}), Error);
  EXPECT_THROW(latent_qkv_forward({qkv, q, kv, q, angle, angle, s}, {}), Error);
  EXPECT_THROW(latent_qkv_forward({qkv, q, kv, key, long_angle, long_angle, s}, {}), Error);
  LatentShape odd = s;
  odd.rope_dim = 1;
  EXPECT_THROW(latent_qkv_forward({qkv, q, kv, key, angle, angle, odd}, {}), Error);
}

}  // namespace
}  // namespace timetrial::ops
