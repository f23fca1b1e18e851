// Dense products: hand values, gradients, all transposes and odd sizes against the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/matmul.h"

#include <omp.h>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"
#include "timetrial/ops/libraries.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

Shape matrix(int64_t rows, int64_t columns, bool transposed) {
  return transposed ? Shape{columns, rows} : Shape{rows, columns};
}

TEST(MatmulReference, HandValues) {
  Bench bench;
  const Tensor c = bench.output("c", {2, 2});
  matmul({.c = c, .a = bench.input({2, 3}, {1, 2, 3, 4, 5, 6}), .b = bench.input({3, 2}, {1, 0, 0, 1, 2, -1})},
         bench.stream());
  EXPECT_EQ(bench.values(c), (Values{7, -1, 16, -1}));
}

TEST(MatmulReference, TransposesBiasAndAccumulation) {
  // The product above, written through both transposes.
  Bench bench;
  const Tensor c = bench.in_out("c", {2, 2}, {100, 200, 300, 400});
  matmul({.c = c,
          .a = bench.input({3, 2}, {1, 4, 2, 5, 3, 6}),
          .b = bench.input({2, 3}, {1, 0, 2, 0, 1, -1}),
          .transpose_a = true,
          .transpose_b = true,
          .accumulate = true,
          .bias = bench.input({2}, {0.5, 0.25})},
         bench.stream());
  EXPECT_EQ(bench.values(c), (Values{107.5, 199.25, 316.5, 399.25}));
}

TEST(MatmulReference, GradientsOfALinearLayer) {
  const int64_t rows = 5, in = 4, out = 3;
  const Values x = random_values(rows * in, 1), w = random_values(out * in, 2), b = random_values(out, 3);
  const Values d_y = random_values(rows * out, 4);
  const Loss loss = [&](const std::vector<Values>& at) {
    Bench bench;
    const Tensor y = bench.output("y", {rows, out});
    matmul({.c = y,
            .a = bench.input({rows, in}, at[0]),
            .b = bench.input({out, in}, at[1]),
            .transpose_b = true,
            .bias = bench.input({out}, at[2])},
           bench.stream());
    return dot(bench.values(y), d_y);
  };
  Bench bench;
  const Tensor d_out = bench.input({rows, out}, d_y);
  const Tensor d_x = bench.output("d_x", {rows, in});
  matmul({.c = d_x, .a = d_out, .b = bench.input({out, in}, w)}, bench.stream());
  const Tensor d_w = bench.in_out("d_w", {out, in}, Values(12, 0.0));
  matmul({.c = d_w, .a = d_out, .b = bench.input({rows, in}, x), .transpose_a = true, .accumulate = true},
         bench.stream());
  const Tensor d_b = bench.in_out("d_b", {out}, Values(3, 0.0));
  bias_backward({.d_bias = d_b, .d_out = d_out}, bench.stream());
  expect_gradients(loss,
                   {{"x", x, bench.values(d_x)}, {"weight", w, bench.values(d_w)}, {"bias", b, bench.values(d_b)}});
}

TEST(MatmulReference, ColumnSumsComeWithAWeightGradient) {
  Bench bench;
  const Tensor c = bench.in_out("c", {2, 1}, {10, 20}), d_bias = bench.in_out("d_bias", {2}, {100, 200});
  matmul({.c = c,
          .a = bench.input({3, 2}, {1, 4, 2, 5, 3, 6}),
          .b = bench.input({3, 1}, {1, 1, 2}),
          .transpose_a = true,
          .accumulate = true,
          .d_bias = d_bias},
         bench.stream());
  EXPECT_EQ(bench.values(c), (Values{19, 41}));
  EXPECT_EQ(bench.values(d_bias), (Values{106, 215}));
}

TEST(MatmulReference, EmptySizes) {
  Bench bench;
  const Tensor kept = bench.in_out("kept", {2, 2}, {1, 2, 3, 4});
  matmul({.c = kept, .a = bench.input({2, 0}, {}), .b = bench.input({0, 2}, {}), .accumulate = true}, bench.stream());
  EXPECT_EQ(bench.values(kept), (Values{1, 2, 3, 4}));
  const Tensor cleared = bench.output("cleared", {2, 2});
  matmul({.c = cleared, .a = bench.input({2, 0}, {}), .b = bench.input({0, 2}, {}), .bias = bench.input({2}, {5, 6})},
         bench.stream());
  EXPECT_EQ(bench.values(cleared), (Values{5, 6, 5, 6}));
  const Tensor none = bench.output("none", {0, 2});
  matmul({.c = none, .a = bench.input({0, 3}, {}), .b = bench.input({3, 2}, Values(6, 1.0))}, bench.stream());
}

TEST(MatmulReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor c = bench.scratch(DType::f64, {2, 2}), a = bench.scratch(DType::f64, {2, 3}),
               b = bench.scratch(DType::f64, {2, 3}), narrow = bench.scratch(DType::f32, {3, 2}),
               bias = bench.scratch(DType::f64, {3});
  EXPECT_THROW(matmul({.c = c, .a = a, .b = b}, bench.stream()), Error);
  EXPECT_THROW(matmul({.c = c, .a = a, .b = narrow}, bench.stream()), Error);
  EXPECT_THROW(matmul({.c = c, .a = a, .b = b, .transpose_b = true, .bias = bias}, bench.stream()), Error);
  EXPECT_THROW(matmul({.c = c, .a = c, .b = c}, bench.stream()), Error);
  EXPECT_THROW(matmul({.c = c, .a = a, .b = b, .transpose_b = true, .d_bias = bias}, bench.stream()), Error);
  EXPECT_THROW(matmul({.c = narrow, .a = a, .b = b, .transpose_a = true, .d_bias = bias}, bench.stream()), Error);
  EXPECT_THROW(bias_backward({.d_bias = bias, .d_out = c}, bench.stream()), Error);
}

TEST(MatmulReference, FloatIsBitEqualFromRunToRun) {
  const Values a = random_values(129 * 257, 1), b = random_values(257 * 67, 2);
  std::vector<Values> results;
  for (int run = 0; run < 3; ++run) {
    Bench bench(StreamRef{}, DType::f32);
    const Tensor c = bench.output("c", {129, 67});
    matmul({.c = c, .a = bench.input({129, 257}, a), .b = bench.input({257, 67}, b)}, bench.stream());
    results.push_back(bench.values(c));
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

TEST(BiasBackwardReference, DoesNotSeeTheNumberOfThreads) {
  const int before = omp_get_max_threads();
  const Values d_out = random_values(1000 * 97, 1);
  std::vector<Values> results;
  for (const int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    Bench bench(StreamRef{}, DType::f32);
    const Tensor d_bias = bench.in_out("d_bias", {97}, Values(97, 0.0));
    bias_backward({.d_bias = d_bias, .d_out = bench.input({1000, 97}, d_out)}, bench.stream());
    results.push_back(bench.values(d_bias));
  }
  omp_set_num_threads(before);
  for (const Values& result : results) EXPECT_EQ(result, results[0]);
}

class MatmulParity : public PlaceTest {
 protected:
  // NaN bytes at first, as every scratch memory of the tests.
  Tensor workspace(Bench& bench) const {
    const size_t bytes = matmul_workspace_bytes(bench.stream().device);
    return bytes == 0 ? Tensor() : bench.scratch(DType::i32, {static_cast<int64_t>(bytes / sizeof(int32_t))});
  }
  Libraries libraries_;
};

TEST_P(MatmulParity, EveryTransposeAndOddSizes) {
  struct Size {
    int64_t m, n, k;
  };
  for (const Size s :
       {Size{1, 1, 1}, {7, 5, 3}, {64, 96, 128}, {31, 257, 61}, {129, 1, 67}, {1, 67, 129}, {0, 4, 3}, {4, 3, 0}})
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const bool accumulate : {false, true})
          for (const bool with_bias : {false, true}) {
            SCOPED_TRACE(fmt::format("m {} n {} k {} transpose {} {} accumulate {} bias {}", s.m, s.n, s.k, transpose_a,
                                     transpose_b, accumulate, with_bias));
            expect_parity(dtype(), stream(), OpClass::product, [&](Bench& bench) {
              const Shape c_shape{s.m, s.n}, a_shape = matrix(s.m, s.k, transpose_a),
                                             b_shape = matrix(s.k, s.n, transpose_b);
              const Tensor c =
                  accumulate ? bench.in_out("c", c_shape, random_values(c_shape, 3)) : bench.output("c", c_shape);
              matmul({.c = c,
                      .a = bench.input(a_shape, random_values(a_shape, 1)),
                      .b = bench.input(b_shape, random_values(b_shape, 2)),
                      .transpose_a = transpose_a,
                      .transpose_b = transpose_b,
                      .accumulate = accumulate,
                      .bias = with_bias ? bench.input({s.n}, random_values(s.n, 4)) : Tensor(),
                      .libraries = &libraries_},
                     bench.stream());
            });
          }
}

TEST_P(MatmulParity, WithoutLibraries) {
  expect_parity(dtype(), stream(), OpClass::product, [](Bench& bench) {
    matmul({.c = bench.output("c", {31, 24}),
            .a = bench.input({31, 16}, random_values(31 * 16, 1)),
            .b = bench.input({16, 24}, random_values(16 * 24, 2))},
           bench.stream());
  });
}

TEST_P(MatmulParity, OnePlanServesManyAddresses) {
  for (uint64_t seed = 1; seed <= 3; ++seed)
    expect_parity(dtype(), stream(), OpClass::product, [&](Bench& bench) {
      matmul({.c = bench.output("c", {64, 96}),
              .a = bench.input({64, 128}, random_values(64 * 128, seed)),
              .b = bench.input({96, 128}, random_values(96 * 128, seed + 10)),
              .transpose_b = true,
              .bias = bench.input({96}, random_values(96, seed + 20)),
              .workspace = workspace(bench),
              .libraries = &libraries_},
             bench.stream());
    });
}

// A layer's weight and bias gradients in one call, twice as over two micro batches.
TEST_P(MatmulParity, WeightAndBiasGradients) {
  struct Size {
    int64_t rows, in, out;
  };
  for (const Size s : {Size{64, 96, 128}, {129, 17, 33}, {1, 8, 8}, {512, 64, 256}, {0, 8, 16}})
    for (const bool with_workspace : {true, false}) {
      SCOPED_TRACE(fmt::format("rows {} in {} out {} workspace {}", s.rows, s.in, s.out, with_workspace));
      expect_parity(dtype(), stream(), OpClass::product, [&](Bench& bench) {
        const Tensor d_weight = bench.in_out_statistics("d_weight", {s.out, s.in}, random_values(s.out * s.in, 1)),
                     d_bias = bench.in_out_statistics("d_bias", {s.out}, random_values(s.out, 2));
        for (uint64_t micro = 0; micro < 2; ++micro)
          matmul({.c = d_weight,
                  .a = bench.input({s.rows, s.out}, random_values(s.rows * s.out, 3 + micro)),
                  .b = bench.input({s.rows, s.in}, random_values(s.rows * s.in, 5 + micro)),
                  .transpose_a = true,
                  .accumulate = true,
                  .d_bias = d_bias,
                  .workspace = with_workspace ? workspace(bench) : Tensor(),
                  .libraries = &libraries_},
                 bench.stream());
      });
    }
}

TEST_P(MatmulParity, WideAccumulator) {
  // Gradients of bf16 products are summed in fp32; elsewhere both types agree and this is a plain product.
  expect_parity(dtype(), stream(), OpClass::product, [](Bench& bench) {
    const Tensor c = bench.in_out_statistics("c", {33, 47}, random_values(33 * 47, 3));
    matmul({.c = c,
            .a = bench.input({21, 33}, random_values(21 * 33, 1)),
            .b = bench.input({21, 47}, random_values(21 * 47, 2)),
            .transpose_a = true,
            .accumulate = true},
           bench.stream());
  });
}

TEST_P(MatmulParity, BiasBackward) {
  for (const Shape shape : {Shape{1, 1}, Shape{0, 5}, Shape{67, 257}, Shape{1000, 96}, Shape{129, 17}})
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Tensor d_bias = bench.in_out_statistics("d_bias", {shape[1]}, random_values(shape[1], 1));
      bias_backward({.d_bias = d_bias,
                     .d_out = bench.input(shape, random_values(shape, 2)),
                     .workspace = bench.scratch(DType::f32, {3 * shape[1] + 1})},
                    bench.stream());
    });
}

TEST_P(MatmulParity, NanStaysNan) {
  expect_parity(dtype(), stream(), OpClass::product, [](Bench& bench) {
    Values a = random_values(9 * 8, 1);
    a[10] = NAN;  // row 1 of the product
    const Tensor c = bench.output("c", {9, 16});
    matmul({.c = c, .a = bench.input({9, 8}, a), .b = bench.input({8, 16}, Values(8 * 16, 0.0))}, bench.stream());
    EXPECT_TRUE(std::isnan(bench.values(c)[16]));
    EXPECT_FALSE(std::isnan(bench.values(c)[0]));
  });
}

INSTANTIATE_TEST_SUITE_P(All, MatmulParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
