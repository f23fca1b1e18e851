// Attention: hand values, identities of windows, sinks and head groups, causality, central differences.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/attention.h"

#include <omp.h>

#include <cmath>

#include "fixtures/gradients.h"
#include "ops/attention_fixture.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

struct Outputs {
  Values out, lse, d_qkv, d_sinks;
  bool operator==(const Outputs&) const = default;
};
Outputs run(Bench& bench, const AttentionCase& c, const Values& qkv, const Values& sinks) {
  const AttentionTensors t = run_forward(bench, c, qkv, sinks);
  run_backward(bench, c, t);
  return {bench.values(t.out), bench.values(t.lse), bench.values(bench.outputs()[2].tensor),
          t.sinks ? bench.values(bench.outputs()[3].tensor) : Values{}};
}
Outputs run(const AttentionCase& c, const Values& qkv, const Values& sinks = {}, DType dtype = DType::f64) {
  Bench bench(StreamRef{}, dtype);
  return run(bench, c, qkv, sinks);
}

// q, k and v of one head, one value each, as rows [q | k | v].
constexpr AttentionCase kOneHead = {
    .batch = 1, .length = 3, .heads = 1, .kv_heads = 1, .head_dim = 1, .window_keys = 0};
const Values kOneHeadRows = {1, 1, 10, 2, 3, 20, 1, 2, 40};

TEST(AttentionReference, HandValues) {
  const Outputs o = run(kOneHead, kOneHeadRows);
  // Row 1 scores 2, 6; row 2 scores 1, 3, 2.
  const double p = 1 / (1 + std::exp(4.0)), sum = std::exp(1.0) + std::exp(3.0) + std::exp(2.0);
  expect_close(o.out, {10, 10 * p + 20 * (1 - p), (10 * std::exp(1.0) + 20 * std::exp(3.0) + 40 * std::exp(2.0)) / sum},
               {1e-14, 0}, "out");
  expect_close(o.lse, {1, std::log(std::exp(2.0) + std::exp(6.0)), std::log(sum)}, {1e-14, 0}, "lse");
}

TEST(AttentionReference, HandValuesWithSink) {
  const Outputs o = run(kOneHead, kOneHeadRows, {2});
  const double sink = std::exp(2.0), sum = std::exp(1.0) + std::exp(3.0) + std::exp(2.0) + sink;
  expect_close(o.out,
               {10 * std::exp(1.0) / (std::exp(1.0) + sink),
                (10 * std::exp(2.0) + 20 * std::exp(6.0)) / (std::exp(2.0) + std::exp(6.0) + sink),
                (10 * std::exp(1.0) + 20 * std::exp(3.0) + 40 * std::exp(2.0)) / sum},
               {1e-14, 0}, "out");
  EXPECT_NEAR(o.lse[2], std::log(sum), 1e-14);
}

TEST(AttentionReference, ScaleActsOnScoresButNotOnSinks) {
  AttentionCase c = kOneHead;
  Values rows = kOneHeadRows;
  for (size_t i = 0; i < rows.size(); i += 3) rows[i] *= 4;
  Bench bench;
  AttentionShape shape = c.shape();
  shape.scale = 0.25;
  shape.sinks = true;
  const Tensor out = bench.output("out", c.out()), lse = bench.output("lse", {1, 1, 3});
  attention_forward({out, lse, bench.input(c.qkv(), rows), bench.input({1}, {2}), {}, shape}, {});
  expect_close(bench.values(out), run(c, kOneHeadRows, {2}).out, {1e-14, 0}, "out");
}

TEST(AttentionReference, EqualScoresAverageTheWindow) {
  AttentionCase c = kOneHead;
  c.length = 6;
  c.window_keys = 3;
  Values rows;
  for (int t = 0; t < 6; ++t) rows.insert(rows.end(), {0, 5, std::pow(10.0, t)});
  expect_close(run(c, rows).out, {1, 5.5, 37, 370, 3700, 37000}, {1e-14, 0}, "out");
  // A sink of 0 is one more key of value 0.
  expect_close(run(c, rows, {0}).out, {0.5, 11.0 / 3, 111.0 / 4, 1110.0 / 4, 11100.0 / 4, 111000.0 / 4}, {1e-14, 0},
               "out");
}

constexpr AttentionCase kGrouped = {
    .batch = 2, .length = 37, .heads = 6, .kv_heads = 2, .head_dim = 5, .window_keys = 0, .sinks = true, .seed = 3};

TEST(AttentionIdentities, AWindowOfTheWholeSequenceIsNone) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const int64_t window : {37, 38, 1000}) {
      AttentionCase c = kGrouped;
      c.window_keys = window;
      EXPECT_EQ(run(c, c.qkv_values(), c.sink_values(), dtype), run(kGrouped, c.qkv_values(), c.sink_values(), dtype));
      c.window_keys = 36;
      EXPECT_NE(run(c, c.qkv_values(), c.sink_values(), dtype).out,
                run(kGrouped, c.qkv_values(), c.sink_values(), dtype).out);
    }
}

TEST(AttentionIdentities, ASinkOfMinusInfinityIsNone) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    Outputs with = run(kGrouped, kGrouped.qkv_values(), Values(6, -INFINITY), dtype);
    EXPECT_EQ(with.d_sinks, Values(6, 0.0));
    with.d_sinks.clear();
    EXPECT_EQ(with, run(kGrouped, kGrouped.qkv_values(), {}, dtype));
  }
}

TEST(AttentionIdentities, ProbabilitiesSumToOneWithTheSink) {
  Values qkv = kGrouped.qkv_values();
  const int64_t width = kGrouped.shape().qkv_width(), values_begin = 8 * 5;
  for (size_t i = 0; i < qkv.size(); ++i)
    if (static_cast<int64_t>(i) % width >= values_begin) qkv[i] = 1;
  const Values sinks = kGrouped.sink_values();
  const Outputs o = run(kGrouped, qkv, sinks);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t h = 0; h < 6; ++h)
      for (int64_t t = 0; t < 37; ++t) {
        const double lse = o.lse[static_cast<size_t>((b * 6 + h) * 37 + t)];
        const double sink_mass = std::exp(sinks[static_cast<size_t>(h)] - lse);
        EXPECT_NEAR(o.out[static_cast<size_t>((b * 37 + t) * 30 + h * 5)] + sink_mass, 1, 1e-13);
        EXPECT_GT(sink_mass, 1e-4);
      }
}

TEST(AttentionIdentities, GroupedHeadsEqualRepeatedKeysAndValues) {
  AttentionCase repeated = kGrouped;
  repeated.kv_heads = 6;
  const Values qkv = kGrouped.qkv_values();
  Values copied;
  for (int64_t row = 0; row < 2 * 37; ++row) {
    const auto begin = qkv.begin() + row * 50;
    copied.insert(copied.end(), begin, begin + 30);
    for (const int64_t part : {30, 40})  // k, then v
      for (int64_t h = 0; h < 6; ++h)
        copied.insert(copied.end(), begin + part + h / 3 * 5, begin + part + h / 3 * 5 + 5);
  }
  const Outputs grouped = run(kGrouped, qkv, kGrouped.sink_values());
  const Outputs separate = run(repeated, copied, kGrouped.sink_values());
  EXPECT_EQ(separate.out, grouped.out);
  EXPECT_EQ(separate.d_sinks, grouped.d_sinks);
}

TEST(AttentionIdentities, SequencesOfABatchDoNotMeet) {
  AttentionCase one = kGrouped;
  one.batch = 1;
  const Values qkv = kGrouped.qkv_values(), sinks = kGrouped.sink_values();
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Values both = run(kGrouped, qkv, sinks, dtype).out;
    const auto half = static_cast<std::ptrdiff_t>(qkv.size() / 2),
               out_half = static_cast<std::ptrdiff_t>(both.size() / 2);
    EXPECT_EQ(run(one, {qkv.begin(), qkv.begin() + half}, sinks, dtype).out,
              Values(both.begin(), both.begin() + out_half));
    EXPECT_EQ(run(one, {qkv.begin() + half, qkv.end()}, sinks, dtype).out, Values(both.begin() + out_half, both.end()));
  }
}

TEST(AttentionIdentities, AKeyReachesItsWindowAndNothingElse) {
  AttentionCase c = {1, 100, 2, 1, 16, 9, true, 5};
  const Values qkv = c.qkv_values(), sinks = c.sink_values();
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Values before = run(c, qkv, sinks, dtype).out;
    for (const int64_t moved : {0, 31, 32, 50, 99}) {
      Values other = qkv;
      for (int64_t i = 2 * 16; i < 4 * 16; ++i) other[static_cast<size_t>(moved * 64 + i)] += 0.5;  // k and v
      const Values after = run(c, other, sinks, dtype).out;
      for (int64_t t = 0; t < 100; ++t) {
        const Values was(before.begin() + t * 32, before.begin() + (t + 1) * 32);
        const Values is(after.begin() + t * 32, after.begin() + (t + 1) * 32);
        EXPECT_EQ(was != is, moved <= t && t < moved + 9) << "key " << moved << ", query " << t;
      }
    }
  }
}

TEST(AttentionIdentities, ResultsDoNotDependOnTheThreads) {
  const AttentionCase c = {2, 130, 8, 2, 16, 0, true, 6};
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Outputs one = run(c, c.qkv_values(), c.sink_values(), DType::f32);
  omp_set_num_threads(3);
  const Outputs three = run(c, c.qkv_values(), c.sink_values(), DType::f32);
  omp_set_num_threads(threads);
  EXPECT_EQ(three, one);
}

// Values of d channels cut to their first dv columns give the first dv columns of the output.
TEST(AttentionIdentities, NarrowValueHeadsAreColumnsOfWideOnes) {
  AttentionCase wide = {.batch = 2, .length = 11, .heads = 4, .kv_heads = 2, .head_dim = 6, .window_keys = 0};
  AttentionCase narrow = wide;
  narrow.value_channels = 4;
  const Values qkv = wide.qkv_values();
  const auto row = static_cast<size_t>(wide.shape().qkv_width()), before = size_t{(4 + 2) * 6};
  Values cut;
  for (size_t r = 0; r < 22; ++r) {
    const auto at = qkv.begin() + static_cast<std::ptrdiff_t>(r * row);
    cut.insert(cut.end(), at, at + static_cast<std::ptrdiff_t>(before));
    for (const size_t head : {0u, 1u}) {
      const auto value = at + static_cast<std::ptrdiff_t>(before + head * 6);
      cut.insert(cut.end(), value, value + 4);
    }
  }
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Outputs o = run(narrow, cut, {}, dtype), whole = run(wide, qkv, {}, dtype);
    ASSERT_EQ(o.out.size(), size_t{22 * 4 * 4});
    Values columns;
    for (size_t i = 0; i < whole.out.size(); ++i)
      if (i % 6 < 4) columns.push_back(whole.out[i]);
    expect_close(o.out, columns, tolerance_of(dtype, OpClass::product), "out");
    expect_close(o.lse, whole.lse, tolerance_of(dtype, OpClass::product), "lse");
  }
}

TEST(AttentionGradients, AreCentralDifferences) {
  const std::vector<AttentionCase> cases = {{1, 1, 1, 1, 2, 0, true, 7},         {2, 5, 2, 1, 3, 0, false, 8},
                                            {2, 5, 2, 1, 3, 0, true, 9},         {1, 6, 4, 2, 2, 3, false, 10},
                                            {1, 6, 4, 2, 2, 3, true, 11},        {1, 5, 2, 2, 3, 1, true, 12},
                                            {2, 5, 2, 2, 3, 0, false, 13, 1, 2}, {1, 5, 4, 2, 2, 3, true, 14, 1, 5}};
  for (const AttentionCase& c : cases) {
    SCOPED_TRACE(fmt::format("length {} heads {}/{} window {} sinks {} values {}", c.length, c.heads, c.kv_heads,
                             c.window_keys, c.sinks, c.value_channels));
    const Values qkv = c.qkv_values(), sinks = c.sink_values(), d_out = c.d_out_values();
    const Outputs o = run(c, qkv, sinks);
    std::vector<GradientOf> inputs = {{"qkv", qkv, o.d_qkv}};
    if (c.sinks) inputs.push_back({"sinks", sinks, o.d_sinks});
    expect_gradients(
        [&](const std::vector<Values>& at) {
          Bench bench;
          return dot(bench.values(run_forward(bench, c, at[0], c.sinks ? at[1] : Values{}).out), d_out);
        },
        inputs);
  }
}

TEST(AttentionChecks, WorkspaceOfALongSequenceStaysSmall) {
  AttentionShape s = {1, 8192, 8, 1, 16, 0, 0.25};
  const auto threads = static_cast<size_t>(omp_get_max_threads());
  const size_t full = attention_workspace_bytes(s, DType::f32, {});
  EXPECT_LT(full, threads * 5'000'000);  // all scores of one head are 268 MB
  s.window_keys = 128;
  EXPECT_LT(attention_workspace_bytes(s, DType::f32, {}), threads * 500'000);
  EXPECT_EQ(attention_workspace_bytes(s, DType::f64, {}), 0u);
}

TEST(AttentionChecks, RefuseWrongShapesAndSmallWorkspace) {
  const AttentionCase c = {2, 8, 4, 2, 8, 0, true};
  const AttentionShape s = c.shape();
  const auto bytes = static_cast<int64_t>(attention_workspace_bytes(s, DType::f32, {}));
  ASSERT_GT(bytes, 0);
  const OwnedTensor qkv(DType::f32, c.qkv()), out(DType::f32, c.out()), lse(DType::f32, {2, 4, 8}),
      sinks(DType::f32, {4});
  const OwnedTensor workspace(DType::f32, {(bytes + 3) / 4}), small(DType::f32, {bytes / 4 - 1});
  const OwnedTensor few(DType::f32, {3}), f64(DType::f64, c.out());
  const auto forward = [&](const AttentionForward& a) { attention_forward(a, {}); };
  forward({out, lse, qkv, sinks, workspace, s});
  EXPECT_THROW(forward({out, lse, qkv, sinks, small, s}), Error);
  EXPECT_THROW(forward({out, lse, qkv, sinks, {}, s}), Error);
  EXPECT_THROW(forward({out, lse, qkv, few, workspace, s}), Error);
  EXPECT_THROW(forward({out, out, qkv, sinks, workspace, s}), Error);
  EXPECT_THROW(forward({f64, lse, qkv, sinks, workspace, s}), Error);
  const auto with = [&](void (*change)(AttentionShape&)) {
    AttentionShape changed = s;
    change(changed);
    EXPECT_THROW(forward({out, lse, qkv, sinks, workspace, changed}), Error);
    EXPECT_THROW(attention_backward({qkv, sinks, out, out, lse, qkv, sinks, workspace, changed}, {}), Error);
  };
  with([](AttentionShape& x) { x.batch = 3; });
  with([](AttentionShape& x) { x.kv_heads = 3; });
  with([](AttentionShape& x) { x.window_keys = -1; });
  with([](AttentionShape& x) { x.scale = NAN; });
  with([](AttentionShape& x) { x.length = 0; });
  with([](AttentionShape& x) { x.sinks = false; });
  AttentionShape uneven = s;
  uneven.kv_heads = 3;
  EXPECT_THROW(attention_workspace_bytes(uneven, DType::f32, {}), Error);
  EXPECT_THROW(attention_backward({qkv, sinks, out, out, lse, qkv, {}, workspace, s}, {}), Error);
  EXPECT_THROW(attention_backward({out, sinks, out, out, lse, qkv, sinks, workspace, s}, {}), Error);
}

}  // namespace
}  // namespace timetrial::ops
