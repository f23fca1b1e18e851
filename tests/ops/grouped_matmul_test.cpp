// Grouped products: against a row-by-row loop, uneven and empty groups, spare rows, central differences, parity.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/grouped_matmul.h"

#include <cmath>
#include <numeric>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary
using Ids = std::vector<int32_t>;

// Rows per expert, then rows that no expert owns.
struct Layout {
  Ids counts;
  int64_t spare = 0;

  int64_t experts() const { return static_cast<int64_t>(counts.size()); }
  Ids begin() const {
    Ids begin = {0};
    for (const int32_t count : counts) begin.push_back(begin.back() + count);
    return begin;
  }
  int64_t used() const { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }
  int64_t rows() const { return used() + spare; }
};

std::vector<Layout> layouts() {
  return {{{3, 1, 2}},      {{0, 5, 0, 2, 0}}, {{9}}, {{0, 0, 40}, 3}, {{0, 0}, 2}, {{17, 0, 200, 33, 1}, 7},
          {{500, 3, 90, 7}}};
}

struct Problem {
  Layout layout;
  int64_t n, k;
  bool transpose_b, scaled;
  GroupedKernels kernels = GroupedKernels::best;
  bool fine_gradient = false;  // d_weight in the statistics' type, as training has it
  Shape weights() const { return transpose_b ? Shape{layout.experts(), n, k} : Shape{layout.experts(), k, n}; }
};
struct Inputs {
  Values a, b, bias, scale;
  explicit Inputs(const Problem& p)
      : a(random_values(p.layout.rows() * p.k, 1)),
        b(random_values(p.weights(), 2)),
        bias(random_values(p.layout.experts() * p.n, 3)),
        scale(random_values(p.layout.rows(), 4)) {
    // Spare rows are never read: a NaN in them must not show.
    std::fill(a.begin() + p.layout.used() * p.k, a.end(), NAN);
    std::fill(scale.begin() + p.layout.used(), scale.end(), NAN);
  }
};

Tensor workspace_of(Bench& bench, int64_t experts) {
  const size_t bytes = grouped_matmul_workspace_bytes(experts, bench.dtype(), bench.stream().device);
  return bytes == 0 ? Tensor() : bench.scratch(DType::f32, {static_cast<int64_t>(bytes + 3) / 4});
}

Tensor forward(Bench& bench, const Problem& p, const Inputs& in) {
  const Layout& l = p.layout;
  const Tensor c = bench.output("c", {l.rows(), p.n});
  grouped_matmul({.c = c,
                  .a = bench.input({l.rows(), p.k}, in.a),
                  .b = bench.input(p.weights(), in.b),
                  .expert_begin = bench.input_i32({l.experts() + 1}, l.begin()),
                  .transpose_b = p.transpose_b,
                  .bias = bench.input({l.experts(), p.n}, in.bias),
                  .bias_scale = p.scaled ? bench.input_statistics({l.rows()}, in.scale) : Tensor{},
                  .workspace = workspace_of(bench, l.experts()),
                  .kernels = p.kernels},
                 bench.stream());
  return c;
}

TEST(GroupedMatmulReference, EqualsOneRowAtATime) {
  for (const bool transpose_b : {false, true})
    for (const bool scaled : {false, true})
      for (const Layout& layout : layouts()) {
        const Problem p = {layout, 5, 3, transpose_b, scaled};
        const Inputs in(p);
        const Ids begin = layout.begin();
        Values expected(static_cast<size_t>(layout.rows() * p.n), NAN);  // what the op leaves alone
        for (int64_t e = 0; e < layout.experts(); ++e)
          for (int64_t r = begin[static_cast<size_t>(e)]; r < begin[static_cast<size_t>(e + 1)]; ++r)
            for (int64_t j = 0; j < p.n; ++j) {
              double sum = 0;
              for (int64_t i = 0; i < p.k; ++i)
                sum += in.a[static_cast<size_t>(r * p.k + i)] *
                       in.b[static_cast<size_t>(e * p.n * p.k + (transpose_b ? j * p.k + i : i * p.n + j))];
              sum += (scaled ? in.scale[static_cast<size_t>(r)] : 1) * in.bias[static_cast<size_t>(e * p.n + j)];
              expected[static_cast<size_t>(r * p.n + j)] = sum;
            }
        Bench bench;
        expect_close(bench.values(forward(bench, p, in)), expected, {1e-13, 1e-15}, "c");
      }
}

TEST(GroupedMatmulReference, HandValues) {
  Bench bench;
  const Tensor c = bench.output("c", {2, 2});
  grouped_matmul({.c = c,
                  .a = bench.input({2, 1}, {2, 3}),
                  .b = bench.input({3, 2, 1}, {1, 10, 100, 1000, 5, 7}),
                  .expert_begin = bench.input_i32({4}, {0, 1, 1, 2}),
                  .transpose_b = true,
                  .bias = bench.input({3, 2}, {0.5, 0.25, 9, 9, 1, 2}),
                  .bias_scale = bench.input({2}, {2, 0.5})},
                 bench.stream());
  EXPECT_EQ(bench.values(c), (Values{3, 20.5, 15.5, 22}));
}

// All gradients of loss = d_c . c by the four backward calls; accumulated gradients start at 1.
struct Gradients {
  Tensor d_a, d_weight, d_bias, d_scale;
};
Gradients backward(Bench& bench, const Problem& p, const Inputs& in, const Values& d_c_values) {
  const Layout& l = p.layout;
  const Tensor begin = bench.input_i32({l.experts() + 1}, l.begin()), d_c = bench.input({l.rows(), p.n}, d_c_values);
  const Tensor a = bench.input({l.rows(), p.k}, in.a), weight = bench.input(p.weights(), in.b),
               bias = bench.input({l.experts(), p.n}, in.bias), scale = bench.input_statistics({l.rows()}, in.scale);
  const auto ones = [](int64_t count) { return Values(static_cast<size_t>(count), 1.0); };
  const Values started = ones(weight.elements());
  const Gradients g = {bench.output("d_a", a.shape()),
                       p.fine_gradient ? bench.in_out_statistics("d_weight", p.weights(), started)
                                       : bench.in_out("d_weight", p.weights(), started),
                       bench.in_out("d_bias", bias.shape(), ones(bias.elements())),
                       bench.in_out_statistics("d_scale", {l.rows()}, ones(l.rows()))};
  const Tensor workspace = workspace_of(bench, l.experts());
  grouped_matmul(
      {.c = g.d_a, .a = d_c, .b = weight, .expert_begin = begin, .workspace = workspace, .kernels = p.kernels},
      bench.stream());
  grouped_matmul_backward_weight({g.d_weight, d_c, a, begin, workspace, p.kernels}, bench.stream());
  grouped_bias_backward({g.d_bias, d_c, begin, p.scaled ? scale : Tensor{}}, bench.stream());
  grouped_bias_scale_backward({g.d_scale, d_c, bias, begin}, bench.stream());
  return g;
}

TEST(GroupedMatmulReference, GradientsAreCentralDifferences) {
  for (const Layout& layout : {Layout{{2, 0, 3}}, Layout{{0, 4, 0}}, Layout{{5}}}) {
    const Problem p = {layout, 4, 3, true, true};
    Inputs in(p);
    const Values d_c = random_values(layout.rows() * p.n, 5);
    Bench bench;
    const Gradients g = backward(bench, p, in, d_c);
    const auto less_one = [&](const Tensor& tensor) {
      Values values = bench.values(tensor);
      for (double& v : values) v -= 1;
      return values;
    };
    const Loss loss = [&](const std::vector<Values>& at) {
      Inputs moved = in;
      std::tie(moved.a, moved.b, moved.bias, moved.scale) = std::tie(at[0], at[1], at[2], at[3]);
      Bench fresh;
      return dot(fresh.values(forward(fresh, p, moved)), d_c);
    };
    expect_gradients(loss, {{"a", in.a, bench.values(g.d_a)},
                            {"weight", in.b, less_one(g.d_weight)},
                            {"bias", in.bias, less_one(g.d_bias)},
                            {"scale", in.scale, less_one(g.d_scale)}});
  }
}

TEST(GroupedMatmulReference, BiasGradientsSumManyRowsAndColumns) {
  // The first runs on one thread whatever the machine, so that more than one block of columns falls to it.
  for (const Layout& layout : {Layout{{30, 0, 20}, 3}, Layout{{130, 0, 70}, 3}}) {
    const Problem p = {layout, 300, 1, true, true};
    const Inputs in(p);
    const Values d_c = random_values(p.layout.rows() * p.n, 5);
    const Ids begin = p.layout.begin();
    Values expected(static_cast<size_t>(3 * p.n), 1.0);
    for (size_t e = 0; e < 3; ++e)
      for (int64_t r = begin[e]; r < begin[e + 1]; ++r)
        for (int64_t j = 0; j < p.n; ++j)
          expected[e * 300 + static_cast<size_t>(j)] +=
              in.scale[static_cast<size_t>(r)] * d_c[static_cast<size_t>(r * p.n + j)];
    Bench bench;
    expect_close(bench.values(backward(bench, p, in, d_c).d_bias), expected, {1e-13, 1e-14}, "d_bias");
  }
}

TEST(GroupedMatmulReference, EmptyExpertsAndSpareRowsKeepTheirGradients) {
  const Problem p = {{{0, 3, 0}, 2}, 4, 3, true, true};
  const Inputs in(p);
  Values d_c = random_values(5 * 4, 5);
  std::fill(d_c.begin() + 12, d_c.end(), NAN);
  Bench bench;
  const Gradients g = backward(bench, p, in, d_c);
  const auto ones = [&](const Tensor& tensor, int64_t begin, int64_t end) {
    const Values values = bench.values(tensor);
    for (int64_t i = begin; i < end; ++i) EXPECT_EQ(values[static_cast<size_t>(i)], 1) << i;
  };
  ones(g.d_weight, 0, 12);
  ones(g.d_weight, 24, 36);
  ones(g.d_bias, 0, 4);
  ones(g.d_bias, 8, 12);
  ones(g.d_scale, 3, 5);
  for (const Tensor& tensor : {g.d_weight, g.d_bias})
    for (const double v : bench.values(tensor)) EXPECT_TRUE(std::isfinite(v));
}

TEST(GroupedMatmulChecks, RefuseGroupsThatDoNotAscend) {
  const auto run = [](const Ids& begin) {
    const OwnedTensor c(DType::f32, {4, 2}), a(DType::f32, {4, 3}), b(DType::f32, {2, 2, 3}), t(DType::i32, {3});
    from_host_i32(t, begin, {});
    grouped_matmul({.c = c, .a = a, .b = b, .expert_begin = t, .transpose_b = true}, {});
    grouped_matmul_backward_weight({b, c, a, t}, {});
    grouped_bias_backward({OwnedTensor(DType::f32, {2, 2}), c, t}, {});
  };
  run({0, 1, 4});
  EXPECT_THROW(run({0, 3, 2}), Error);
  EXPECT_THROW(run({0, 1, 5}), Error);
  EXPECT_THROW(run({-1, 1, 4}), Error);
}

TEST(GroupedMatmulChecks, RefuseWrongShapes) {
  const OwnedTensor c(DType::f32, {4, 2}), a(DType::f32, {4, 3}), b(DType::f32, {2, 2, 3}), t(DType::i32, {3});
  const OwnedTensor bias(DType::f32, {2, 2}), scale(DType::f32, {4}), few(DType::f32, {3});
  const auto run = [&](const GroupedMatmul& g) { grouped_matmul(g, {}); };
  run({c, a, b, t, true, bias, scale});
  EXPECT_THROW(run({c, a, b, t, false}), Error);
  EXPECT_THROW(run({c, a, b, t, true, scale}), Error);
  EXPECT_THROW(run({c, a, b, t, true, bias, few}), Error);
  EXPECT_THROW(run({c, a, b, t, true, {}, scale}), Error);
  EXPECT_THROW(run({c, a, b, scale, true}), Error);
  EXPECT_THROW(grouped_matmul_backward_weight({b, a, c, t}, {}), Error);
  EXPECT_THROW(grouped_bias_backward({bias, a, t}, {}), Error);
  EXPECT_THROW(grouped_bias_scale_backward({few, c, bias, t}, {}), Error);
}

using GroupedMatmulParity = PlaceTest;

TEST_P(GroupedMatmulParity, LayoutsAndSizes) {
  for (const bool scaled : {false, true})
    for (const Layout& layout : layouts())
      for (const auto& [n, k] : {std::pair{5, 3}, {16, 40}, {100, 33}, {37, 96}, {300, 2}}) {
        SCOPED_TRACE(fmt::format("rows {} n {} k {} scaled {}", layout.rows(), n, k, scaled));
        const Problem p = {layout, n, k, true, scaled}, plain = {layout, n, k, false, scaled};
        expect_parity(dtype(), stream(), OpClass::product, [&](Bench& bench) {
          forward(bench, p, Inputs(p));
          forward(bench, plain, Inputs(plain));
          backward(bench, p, Inputs(p), random_values(layout.rows() * n, 5));
        });
      }
}

// Rows of whole 16 bytes, which the chip's own kernels take in bf16: groups around a tile of 128 rows, single rows, no
// rows at all, more groups than a warp has lanes.
TEST_P(GroupedMatmulParity, ChipKernelsAndPlainOnes) {
  Layout many;
  for (int32_t e = 0; e < 40; ++e) many.counts.push_back(e % 3 == 0 ? 0 : e % 7 * 5);
  const std::vector<Layout> groups = {{{1, 1, 1}}, {{0, 0}, 2}, {{127, 0, 128, 129, 1}, 5}, {{0, 300}, 9}, many};
  for (const GroupedKernels kernels : {GroupedKernels::best, GroupedKernels::plain})
    for (const Layout& layout : groups)
      for (const auto& [n, k] : {std::pair{8, 8}, {264, 72}, {72, 136}})
        for (const bool scaled : {false, true}) {
          if (kernels == GroupedKernels::plain && stream().device.kind == DeviceKind::cpu) continue;  // one kind there
          SCOPED_TRACE(fmt::format("rows {} n {} k {} scaled {} kernels {}", layout.rows(), n, k, scaled,
                                   kernels == GroupedKernels::best ? "best" : "plain"));
          const Problem p = {layout, n, k, true, scaled, kernels, true},
                        straight = {layout, n, k, false, scaled, kernels};
          expect_parity(dtype(), stream(), OpClass::product, [&](Bench& bench) {
            forward(bench, p, Inputs(p));
            forward(bench, straight, Inputs(straight));
            backward(bench, p, Inputs(p), random_values(layout.rows() * n, 5));
          });
        }
}

// No atomics, no order that depends on time.
TEST_P(GroupedMatmulParity, RepeatsToTheBit) {
  const Problem p = {{{70, 0, 200, 3}}, 136, 264, true, true, GroupedKernels::best, true};
  const auto once = [&] {
    Bench bench(stream(), dtype());
    forward(bench, p, Inputs(p));
    backward(bench, p, Inputs(p), random_values(p.layout.rows() * p.n, 5));
    std::vector<Values> all;
    for (const Bench::Output& output : bench.outputs()) all.push_back(bench.values(output.tensor));
    return all;
  };
  EXPECT_EQ(once(), once());
}

INSTANTIATE_TEST_SUITE_P(Places, GroupedMatmulParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
