// Gated activation: hand values, clamp edges, NaN and large inputs, central differences, parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/gated_activation.h"

#include <cmath>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary
using Kind = GatedActivationKind;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

struct Outputs {
  Values out, d_hidden, d_gates;
};
// One call of each direction. `hidden` is (rows, 2 width); no gates: empty.
struct Case {
  Kind kind;
  int64_t width;
  Values hidden, gates, d_out;
  int64_t rows() const { return static_cast<int64_t>(hidden.size()) / (2 * width); }
};
void run(Bench& bench, const Case& c) {
  const Tensor hidden = bench.input({c.rows(), 2 * c.width}, c.hidden),
               d_out = bench.input({c.rows(), c.width}, c.d_out);
  const Tensor gates = c.gates.empty() ? Tensor{} : bench.input_statistics({c.rows()}, c.gates);
  const Tensor out = bench.output("out", {c.rows(), c.width}), d_hidden = bench.output("d_hidden", hidden.shape());
  const Tensor d_gates = c.gates.empty() ? Tensor{} : bench.output_statistics("d_gates", {c.rows()});
  gated_activation_forward({out, hidden, gates, c.kind}, bench.stream());
  gated_activation_backward({d_hidden, d_gates, d_out, hidden, gates, c.kind}, bench.stream());
}
Outputs run(const Case& c) {
  Bench bench;
  run(bench, c);
  return {bench.values(bench.outputs()[0].tensor), bench.values(bench.outputs()[1].tensor),
          c.gates.empty() ? Values{} : bench.values(bench.outputs()[2].tensor)};
}

TEST(GatedActivationReference, SwigluHandValues) {
  const double g = std::log(3.0);  // sigma = 3/4
  const Outputs o = run({Kind::swiglu, 2, {g, 0, 2, 5}, {0.5}, {1, 1}});
  expect_close(o.out, {0.5 * g * 0.75 * 2, 0}, {1e-15, 0}, "out");
  // d/dg = u sigma (1 + g (1 - sigma)), d/du = g sigma.
  expect_close(o.d_hidden, {0.5 * 2 * 0.75 * (1 + g * 0.25), 0.5 * 5 * 0.5, 0.5 * g * 0.75, 0}, {1e-15, 0}, "d_hidden");
  expect_close(o.d_gates, {g * 0.75 * 2}, {1e-15, 0}, "d_gates");
}

TEST(GatedActivationReference, ClampedHandValues) {
  const double g = std::log(3.0) / 1.702;
  const Outputs o = run({Kind::clamped_swiglu, 3, {g, 8, -20, 2, -9, 11}, {0.5}, {1, 1, 1}});
  expect_close(o.out, {0.5 * g * 0.75 * 3, 0.5 * 7 * sigma(1.702 * 7) * -6, 0.5 * -20 * sigma(-34.04) * 8}, {1e-15, 0},
               "out");
}

TEST(GatedActivationReference, NothingFlowsWhereClamped) {
  const double over = std::nextafter(7.0, 8), under = std::nextafter(7.0, 6);
  // g: clamped above 7 only. u: the gradient is 0 outside the open interval (-7, 7).
  const Values g = {over, 7, under, -9, 1, 1, 1, 1, 1, 1}, u = {1, 1, 1, 1, over, 7, under, -over, -7, -under};
  Values hidden = g;
  hidden.insert(hidden.end(), u.begin(), u.end());
  const Outputs o = run({Kind::clamped_swiglu, 10, hidden, {1}, Values(10, 1.0)});
  const std::vector<bool> g_flows = {false, true, true, true, true, true, true, true, true, true};
  const std::vector<bool> u_flows = {true, true, true, true, false, false, true, false, false, true};
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(o.d_hidden[i] != 0, g_flows[i]) << "g = " << g[i];
    EXPECT_EQ(o.d_hidden[10 + i] != 0, u_flows[i]) << "u = " << u[i];
  }
}

TEST(GatedActivationReference, NoGatesMeansOnes) {
  for (const Kind kind : {Kind::swiglu, Kind::clamped_swiglu}) {
    Case c = {kind, 5, random_values(3 * 10, 1, -9, 9), {1, 1, 1}, random_values(3 * 5, 2)};
    const Outputs with = run(c);
    c.gates.clear();
    const Outputs without = run(c);
    EXPECT_EQ(without.out, with.out);
    EXPECT_EQ(without.d_hidden, with.d_hidden);
  }
}

TEST(GatedActivationReference, GradientsAreCentralDifferences) {
  for (const Kind kind : {Kind::swiglu, Kind::clamped_swiglu}) {
    // Up to 10 in size, so about a third is clamped; the seed leaves none within a step of a clamp.
    Case c = {kind, 6, random_values(4 * 12, 3, -10, 10), random_values(4, 4, 0.1, 0.9), random_values(4 * 6, 5)};
    for (const double v : c.hidden) ASSERT_GT(std::fabs(std::fabs(v) - 7), 1e-3);
    const Outputs o = run(c);
    const Loss loss = [&](const std::vector<Values>& at) {
      return dot(run({kind, c.width, at[0], at[1], c.d_out}).out, c.d_out);
    };
    expect_gradients(loss, {{"hidden", c.hidden, o.d_hidden}, {"gates", c.gates, o.d_gates}});
  }
}

TEST(GatedActivationChecks, RefuseWrongShapesAndTypes) {
  const OwnedTensor out(DType::f64, {4, 3}), hidden(DType::f64, {4, 6}), narrow(DType::f64, {4, 5}),
      gates(DType::f64, {4});
  const OwnedTensor few(DType::f64, {3}), single(DType::f32, {4});
  gated_activation_forward({out, hidden, gates, Kind::swiglu}, {});
  EXPECT_THROW(gated_activation_forward({out, narrow, gates, Kind::swiglu}, {}), Error);
  EXPECT_THROW(gated_activation_forward({out, hidden, few, Kind::swiglu}, {}), Error);
  EXPECT_THROW(gated_activation_forward({out, hidden, single, Kind::swiglu}, {}), Error);
  EXPECT_THROW(gated_activation_backward({narrow, {}, out, hidden, gates, Kind::swiglu}, {}), Error);
  EXPECT_THROW(gated_activation_backward({hidden, few, out, hidden, gates, Kind::swiglu}, {}), Error);
}

using GatedActivationParity = PlaceTest;

TEST_P(GatedActivationParity, RowsAndWidths) {
  for (const Kind kind : {Kind::swiglu, Kind::clamped_swiglu})
    for (const int64_t width : {1, 7, 16, 33, 96})
      for (const int64_t rows : {1, 5, 400})
        for (const bool gated : {false, true})
          expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
            run(bench, {kind, width, random_values(rows * 2 * width, 6, -10, 10),
                        gated ? random_values(rows, 7, 0, 1) : Values{}, random_values(rows * width, 8)});
          });
}

TEST_P(GatedActivationParity, LargeInputsStayFiniteAndNanPasses) {
  const double nan = std::nan("");
  for (const Kind kind : {Kind::swiglu, Kind::clamped_swiglu})
    expect_parity(dtype(), stream(), OpClass::elementwise, [&](Bench& bench) {
      run(bench, {kind, 4, {-1e4, 1e4, -100, 60, 1, 1, 1, 1}, {1}, {1, 1, 1, 1}});
      run(bench, {kind, 2, {nan, 1, 1, 1}, {1}, {1, 1}});
      run(bench, {kind, 2, {1, 1, nan, 1}, {1}, {1, 1}});
    });
  const Outputs large = run({Kind::swiglu, 2, {-1e4, 1e4, 1, 1}, {1}, {1, 1}});
  EXPECT_EQ(large.out, (Values{0, 1e4}));
  EXPECT_TRUE(std::isnan(run({Kind::clamped_swiglu, 1, {nan, 1}, {1}, {1}}).out[0]));
  EXPECT_TRUE(std::isnan(run({Kind::clamped_swiglu, 1, {1, nan}, {1}, {1}}).d_hidden[0]));
}

INSTANTIATE_TEST_SUITE_P(Places, GatedActivationParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
