// QK-norm: RMSNorm of every head, values untouched, central differences, parity with the oracle.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/head_norm.h"

#include <omp.h>

#include "fixtures/bench.h"
#include "fixtures/gradients.h"
#include "timetrial/ops/rms_norm.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

constexpr double kEpsilon = 1e-2;  // large enough that a forgotten epsilon shows in every tolerance

// rows of [query heads | key heads | rest channels].
struct Layout {
  int64_t rows, heads, kv_heads, head_dim, rest;
  int64_t normed() const { return heads + kv_heads; }
  int64_t width() const { return normed() * head_dim + rest; }
  Shape shape() const { return {rows, width()}; }
  Shape statistics() const { return {rows, normed()}; }
};
constexpr Layout kSmall = {.rows = 3, .heads = 3, .kv_heads = 2, .head_dim = 5, .rest = 7};

struct Forward {
  Values out, rstd;
};

Forward forward(const Layout& l, const Values& x, const Values& q_weight, const Values& k_weight) {
  Bench bench;
  const Tensor out = bench.output("out", l.shape()), rstd = bench.output_statistics("rstd", l.statistics());
  head_norm_forward({.out = out,
                     .rstd = rstd,
                     .x = bench.input(l.shape(), x),
                     .q_weight = bench.input({l.head_dim}, q_weight),
                     .k_weight = bench.input({l.head_dim}, k_weight),
                     .heads = l.heads,
                     .epsilon = kEpsilon},
                    bench.stream());
  return {bench.values(out), bench.values(rstd)};
}

// The channels of one head, one row after the other.
Values head_of(const Layout& l, const Values& rows, int64_t head) {
  Values part;
  for (int64_t row = 0; row < l.rows; ++row)
    for (int64_t j = 0; j < l.head_dim; ++j)
      part.push_back(rows[static_cast<size_t>(row * l.width() + head * l.head_dim + j)]);
  return part;
}

Values rest_of(const Layout& l, const Values& rows) {
  Values part;
  for (int64_t row = 0; row < l.rows; ++row)
    for (int64_t j = l.normed() * l.head_dim; j < l.width(); ++j)
      part.push_back(rows[static_cast<size_t>(row * l.width() + j)]);
  return part;
}

// Everything the op computes, with random data; outputs are named and start as NaN.
struct Gradients {
  Tensor d_x, d_q_weight, d_k_weight;
};
Gradients backward(Bench& bench, const Layout& l, const Values& rstd) {
  const Tensor d_out = bench.input(l.shape(), random_values(l.shape(), 4)),
               x = bench.input(l.shape(), random_values(l.shape(), 1)),
               statistics = bench.input_statistics(l.statistics(), rstd);
  const Tensor d_x = bench.output("d_x", l.shape());
  head_norm_backward_input({.d_x = d_x,
                            .d_out = d_out,
                            .x = x,
                            .rstd = statistics,
                            .q_weight = bench.input({l.head_dim}, random_values(l.head_dim, 2)),
                            .k_weight = bench.input({l.head_dim}, random_values(l.head_dim, 3)),
                            .heads = l.heads},
                           bench.stream());
  const Tensor d_q = bench.in_out_statistics("d_q_weight", {l.head_dim}, random_values(l.head_dim, 5)),
               d_k = bench.in_out_statistics("d_k_weight", {l.head_dim}, random_values(l.head_dim, 6));
  // Room for three slices of the rows and a bit.
  head_norm_backward_weight({.d_q_weight = d_q,
                             .d_k_weight = d_k,
                             .d_out = d_out,
                             .x = x,
                             .rstd = statistics,
                             .heads = l.heads,
                             .workspace = bench.scratch(DType::f32, {3 * l.head_dim + 1})},
                            bench.stream());
  return {d_x, d_q, d_k};
}

TEST(HeadNormReference, EveryHeadIsAnRmsNorm) {
  const Layout l = kSmall;
  const Values x = random_values(l.shape(), 1);
  const Values weights[] = {random_values(l.head_dim, 2), random_values(l.head_dim, 3)};
  const Forward f = forward(l, x, weights[0], weights[1]);
  for (int64_t head = 0; head < l.normed(); ++head) {
    Bench bench;
    const Tensor out = bench.output("out", {l.rows, l.head_dim}), rstd = bench.output_statistics("rstd", {l.rows});
    rms_norm_forward({.out = out,
                      .rstd = rstd,
                      .x = bench.input({l.rows, l.head_dim}, head_of(l, x, head)),
                      .weight = bench.input({l.head_dim}, weights[head < l.heads ? 0 : 1]),
                      .epsilon = kEpsilon},
                     bench.stream());
    expect_close(head_of(l, f.out, head), bench.values(out), {1e-14, 0}, "out");
    for (int64_t row = 0; row < l.rows; ++row)
      EXPECT_NEAR(f.rstd[static_cast<size_t>(row * l.normed() + head)], bench.values(rstd)[static_cast<size_t>(row)],
                  1e-14);
  }
  EXPECT_EQ(rest_of(l, f.out), rest_of(l, x));
}

TEST(HeadNormReference, GradientsAreCentralDifferences) {
  const Layout l = kSmall;
  const Values x = random_values(l.shape(), 1), q = random_values(l.head_dim, 2), k = random_values(l.head_dim, 3);
  const Values d_y = random_values(l.shape(), 4);
  const Loss loss = [&](const std::vector<Values>& at) { return dot(forward(l, at[0], at[1], at[2]).out, d_y); };
  Bench bench;
  const Gradients g = backward(bench, l, forward(l, x, q, k).rstd);
  // The weight gradients start with these values.
  Values d_q = bench.values(g.d_q_weight), d_k = bench.values(g.d_k_weight);
  for (size_t j = 0; j < d_q.size(); ++j) {
    d_q[j] -= random_values(l.head_dim, 5)[j];
    d_k[j] -= random_values(l.head_dim, 6)[j];
  }
  expect_gradients(loss, {{"x", x, bench.values(g.d_x)}, {"q_weight", q, d_q}, {"k_weight", k, d_k}});
  EXPECT_EQ(rest_of(l, bench.values(g.d_x)), rest_of(l, d_y));
}

TEST(HeadNormReference, GradientsDoNotDependOnTheNumberOfThreads) {
  const Layout l = {.rows = 333, .heads = 6, .kv_heads = 2, .head_dim = 48, .rest = 96};
  const int before = omp_get_max_threads();
  std::vector<std::vector<Values>> results;
  for (const int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    Bench bench(StreamRef{}, DType::f32);
    backward(bench, l, random_values(l.statistics(), 7, 0.5, 2));
    results.emplace_back();
    for (const Bench::Output& output : bench.outputs()) results.back().push_back(bench.values(output.tensor));
  }
  omp_set_num_threads(before);
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(HeadNormReference, RefusesWhatDoesNotFit) {
  Bench bench;
  const Tensor x = bench.scratch(DType::f64, {2, 17}), other = bench.scratch(DType::f64, {2, 18}),
               single = bench.scratch(DType::f32, {2, 17}), rstd = bench.scratch(DType::f64, {2, 3}),
               many = bench.scratch(DType::f64, {2, 5}), weight = bench.scratch(DType::f64, {4}),
               column = bench.scratch(DType::f64, {4, 1}), wide_weight = bench.scratch(DType::f64, {6}),
               narrow = bench.scratch(DType::f32, {4});
  const HeadNormForward good = {.out = bench.scratch(DType::f64, {2, 17}),
                                .rstd = rstd,
                                .x = x,
                                .q_weight = weight,
                                .k_weight = weight,
                                .heads = 2,
                                .epsilon = 0};
  EXPECT_NO_THROW(head_norm_forward(good, bench.stream()));
  const auto refuses = [&](const char* what, void (*change)(HeadNormForward&, const Tensor&), const Tensor& tensor) {
    HeadNormForward bad = good;
    change(bad, tensor);
    EXPECT_THROW(head_norm_forward(bad, bench.stream()), Error) << what;
  };
  refuses(
      "out of another width", [](HeadNormForward& a, const Tensor& t) { a.out = t; }, other);
  refuses(
      "out of another type", [](HeadNormForward& a, const Tensor& t) { a.out = t; }, single);
  refuses(
      "more heads than fit in x", [](HeadNormForward& a, const Tensor& t) { a.rstd = t; }, many);
  refuses(
      "rstd is a vector", [](HeadNormForward& a, const Tensor& t) { a.rstd = t; }, weight);
  refuses(
      "weights of different lengths", [](HeadNormForward& a, const Tensor& t) { a.k_weight = t; }, wide_weight);
  refuses(
      "weight is a matrix", [](HeadNormForward& a, const Tensor& t) { a.q_weight = t; }, column);
  refuses(
      "weight of another type", [](HeadNormForward& a, const Tensor& t) { a.q_weight = t; }, narrow);
  refuses(
      "no key head", [](HeadNormForward& a, const Tensor&) { a.heads = 3; }, x);
  refuses(
      "no query head", [](HeadNormForward& a, const Tensor&) { a.heads = 0; }, x);
  refuses(
      "epsilon below 0", [](HeadNormForward& a, const Tensor&) { a.epsilon = -1; }, x);

  const HeadNormBackwardInput input = {
      .d_x = x, .d_out = other, .x = x, .rstd = rstd, .q_weight = weight, .k_weight = weight, .heads = 2};
  EXPECT_THROW(head_norm_backward_input(input, bench.stream()), Error);
  const HeadNormBackwardWeight gradient = {
      .d_q_weight = weight, .d_k_weight = wide_weight, .d_out = x, .x = x, .rstd = rstd, .heads = 2};
  EXPECT_THROW(head_norm_backward_weight(gradient, bench.stream()), Error);
}

class HeadNormParity : public PlaceTest {
 protected:
  static std::vector<Layout> layouts() {
    return {{.rows = 1, .heads = 1, .kv_heads = 1, .head_dim = 1, .rest = 0},
            {.rows = 0, .heads = 2, .kv_heads = 1, .head_dim = 4, .rest = 4},
            kSmall,
            {.rows = 130, .heads = 8, .kv_heads = 1, .head_dim = 16, .rest = 16},
            {.rows = 77, .heads = 4, .kv_heads = 3, .head_dim = 67, .rest = 201},
            {.rows = 9, .heads = 64, .kv_heads = 8, .head_dim = 64, .rest = 512}};
  }
};

TEST_P(HeadNormParity, Forward) {
  for (const Layout& l : layouts()) {
    SCOPED_TRACE(l.shape().text());
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Tensor out = bench.output("out", l.shape()), rstd = bench.output_statistics("rstd", l.statistics());
      head_norm_forward({.out = out,
                         .rstd = rstd,
                         .x = bench.input(l.shape(), random_values(l.shape(), 1)),
                         .q_weight = bench.input({l.head_dim}, random_values(l.head_dim, 2)),
                         .k_weight = bench.input({l.head_dim}, random_values(l.head_dim, 3)),
                         .heads = l.heads,
                         .epsilon = kEpsilon},
                        bench.stream());
    });
  }
}

TEST_P(HeadNormParity, Backward) {
  for (const Layout& l : layouts()) {
    SCOPED_TRACE(l.shape().text());
    expect_parity(dtype(), stream(), OpClass::reduction,
                  [&](Bench& bench) { backward(bench, l, random_values(l.statistics(), 7, 0.5, 2)); });
  }
}

TEST_P(HeadNormParity, NanStaysInItsHead) {
  expect_parity(dtype(), stream(), OpClass::reduction, [](Bench& bench) {
    const Layout l = kSmall;
    Values x = random_values(l.shape(), 1);
    x[static_cast<size_t>(l.width() + l.head_dim)] = NAN;  // row 1, query head 1, channel 0
    const Tensor out = bench.output("out", l.shape());
    head_norm_forward({.out = out,
                       .rstd = bench.output_statistics("rstd", l.statistics()),
                       .x = bench.input(l.shape(), x),
                       .q_weight = bench.input({l.head_dim}, random_values(l.head_dim, 2)),
                       .k_weight = bench.input({l.head_dim}, random_values(l.head_dim, 3)),
                       .heads = l.heads,
                       .epsilon = kEpsilon},
                      bench.stream());
    int64_t nans = 0;
    for (const double value : bench.values(out)) nans += std::isnan(value) ? 1 : 0;
    EXPECT_EQ(nans, l.head_dim);
  });
}

INSTANTIATE_TEST_SUITE_P(All, HeadNormParity, ::testing::ValuesIn(places()), place_test_name);

}  // namespace
}  // namespace timetrial::ops
