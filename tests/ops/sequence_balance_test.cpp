// Sequence auxiliary loss: hand values, the balanced value of 1, counts without gradient, gradients, parity.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/ops/sequence_balance.h"

#include "fixtures/bench.h"
#include "fixtures/gradients.h"

namespace timetrial::ops {
namespace {

using namespace timetrial::fixtures;  // NOLINT: test vocabulary

struct Case {
  int64_t sequences, length, experts, choices;
  Shape score() const { return {sequences * length, experts}; }
  Values scores(uint64_t seed) const { return random_values(score(), seed, 0.05, 0.95); }
};

struct Balance {
  Tensor loss, counts, score;
};
Balance forward(Bench& bench, const Case& c, const Values& score) {
  const Balance b = {bench.output_statistics("loss", {c.sequences}),
                     bench.output_i32("counts", {c.sequences, c.experts}), bench.input_statistics(c.score(), score)};
  sequence_balance_forward({.loss = b.loss, .counts = b.counts, .score = b.score, .choices = c.choices},
                           bench.stream());
  return b;
}

Tensor backward(Bench& bench, const Case& c, const Balance& b, double scale) {
  const Tensor d_score = bench.output_statistics("d_score", c.score());
  sequence_balance_backward(
      {.d_score = d_score, .score = b.score, .counts = b.counts, .choices = c.choices, .scale = scale}, bench.stream());
  return d_score;
}

// Two tokens, two experts, top 1: both choose expert 0. L = 2/(1*4) * (2 * (0.75 + 0.6)) = 1.35.
TEST(SequenceBalance, HandValues) {
  Bench bench;
  const Balance b = forward(bench, {1, 2, 2, 1}, {0.6, 0.2, 0.9, 0.6});
  EXPECT_EQ(bench.values(b.counts), (Values{2, 0}));
  EXPECT_NEAR(bench.values(b.loss)[0], 1.35, 1e-15);
  // d/ds: q = (1, 0); (q_e - sum q s') / sum s.
  expect_close(bench.values(backward(bench, {1, 2, 2, 1}, b, 2)),
               {2 * 0.25 / 0.8, -2 * 0.75 / 0.8, 2 * 0.4 / 1.5, -2 * 0.6 / 1.5}, {1e-14, 0}, "d_score");
}

// Equal scores: every s' is 1/E, so the loss is 1 whatever the counts.
TEST(SequenceBalance, EqualScoresGiveOne) {
  Bench bench;
  const Balance b = forward(bench, {3, 7, 12, 4}, Values(3 * 7 * 12, 0.3));
  for (const double loss : bench.values(b.loss)) EXPECT_NEAR(loss, 1, 1e-14);
  EXPECT_EQ(bench.values(b.counts)[3], 7);  // ties go to the lower ids
  EXPECT_EQ(bench.values(b.counts)[4], 0);
}

// Sequences do not see one another.
TEST(SequenceBalance, IsPerSequence) {
  const Case two = {2, 5, 8, 2}, one = {1, 5, 8, 2};
  const Values scores = two.scores(3);
  Bench bench;
  const Balance both = forward(bench, two, scores);
  for (const size_t b : {0u, 1u}) {
    const Values own(scores.begin() + static_cast<std::ptrdiff_t>(b * 40),
                     scores.begin() + static_cast<std::ptrdiff_t>((b + 1) * 40));
    EXPECT_EQ(bench.values(forward(bench, one, own).loss)[0], bench.values(both.loss)[b]);
  }
}

TEST(SequenceBalance, GradientsAreCentralDifferences) {
  const Case c = {2, 6, 10, 3};
  const Values score = c.scores(4);
  Bench bench;
  const Balance b = forward(bench, c, score);
  const Values d_score = bench.values(backward(bench, c, b, 0.7));
  expect_gradients(
      [&](const std::vector<Values>& at) {
        Bench fresh;
        const Values loss = fresh.values(forward(fresh, c, at[0]).loss);
        return 0.7 * (loss[0] + loss[1]);
      },
      {{"score", score, d_score}});
}

class SequenceBalanceParity : public PlaceTest {};

TEST_P(SequenceBalanceParity, ForwardAndBackward) {
  for (const Case& c : {Case{1, 1, 4, 2}, Case{3, 33, 16, 4}, Case{2, 64, 256, 8}})
    expect_parity(dtype(), stream(), OpClass::reduction, [&](Bench& bench) {
      const Balance b = forward(bench, c, c.scores(6));
      backward(bench, c, b, 0.01);
    });
}

INSTANTIATE_TEST_SUITE_P(Places, SequenceBalanceParity, ::testing::ValuesIn(places()), place_test_name);

TEST(SequenceBalance, RefusesWhatDoesNotFit) {
  const OwnedTensor score(DType::f32, {6, 4}), counts(DType::i32, {2, 4}), loss(DType::f32, {2}),
      wrong(DType::i32, {4, 4});
  const OwnedTensor four(DType::f32, {4});
  EXPECT_THROW(sequence_balance_forward({four, wrong, score, 2}, {}), Error);  // 6 rows are no 4 sequences
  EXPECT_THROW(sequence_balance_forward({loss, counts, score, 5}, {}), Error);
  EXPECT_THROW(sequence_balance_forward({loss, counts, score, 0}, {}), Error);
  EXPECT_THROW(sequence_balance_forward({four, counts, score, 2}, {}), Error);
  EXPECT_THROW(sequence_balance_backward({loss, score, counts, 2, 1}, {}), Error);
}

}  // namespace
}  // namespace timetrial::ops
