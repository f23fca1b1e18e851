// The comparison must notice mistakes: an engine with a fault put in on purpose may not agree with the reference.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "fidelity/comparison.h"

namespace timetrial::fidelity {
namespace {

// A model that passes on to another, with one thing wrong.
class Faulty : public Model {
 public:
  enum class Fault { none, labels_not_shifted, sum_for_mean };
  Faulty(std::unique_ptr<Model> model, Fault fault) : model_(std::move(model)), fault_(fault) {}

  const ParameterList& parameters() const override { return model_->parameters(); }
  void plan_forward(Plan& plan, int64_t tokens) const override { model_->plan_forward(plan, tokens); }
  void plan_backward(Plan& plan, int64_t tokens) const override { model_->plan_backward(plan, tokens); }
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override {
    model_->forward(loss, seen(batch), pass);
  }
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override {
    const double factor = fault_ == Fault::sum_for_mean ? static_cast<double>(batch.ids.dim(0)) : 1;
    model_->backward(seen(batch), loss_scale * factor, pass);
  }
  SavedId logits() const override { return model_->logits(); }

 private:
  MicroBatch seen(const MicroBatch& batch) const {
    if (fault_ != Fault::labels_not_shifted) return batch;
    return {.ids = batch.ids, .labels = batch.ids};
  }
  std::unique_ptr<Model> model_;
  Fault fault_;
};

Agreement with_fault(const std::string& name, Faulty::Fault fault) {
  const Golden golden(name);
  const auto wrap = [fault](std::unique_ptr<Model> model) -> std::unique_ptr<Model> {
    return std::make_unique<Faulty>(std::move(model), fault);
  };
  return compare(golden, compute(golden, {.dtype = DType::f64, .micro_batch = 1, .wrap = wrap}), DType::f64);
}

class SeededFault : public ::testing::TestWithParam<const char*> {};

TEST_P(SeededFault, NoneAgrees) { EXPECT_TRUE(agrees(with_fault(GetParam(), Faulty::Fault::none), DType::f64)); }

TEST_P(SeededFault, LabelShiftIsSeenInLossesAndGradients) {
  const Agreement worst = with_fault(GetParam(), Faulty::Fault::labels_not_shifted);
  EXPECT_FALSE(agrees(worst, DType::f64));
  EXPECT_FALSE(agrees(worst, DType::f32));
  EXPECT_GT(worst.losses, 1e-2);
  EXPECT_GT(worst.gradients, 1e-2);
}

TEST_P(SeededFault, SumForMeanIsSeenInGradientsThoughLossesAgree) {
  const Agreement worst = with_fault(GetParam(), Faulty::Fault::sum_for_mean);
  EXPECT_FALSE(agrees(worst, DType::f64));
  EXPECT_FALSE(agrees(worst, DType::f32));
  EXPECT_LE(worst.losses, 1e-9);
  EXPECT_GT(worst.gradients, 1);
}

INSTANTIATE_TEST_SUITE_P(Cases, SeededFault,
                         ::testing::Values("gpt_oss_20b/submitted_3x11", "llama31_405b/reference_3x9",
                                           "deepseekv3_671b/reference_1x13"),
                         [](const auto& test) { return std::string(test.param).substr(0, 5); });

// Faults that a config switch puts in: each of these numbers is one that the spec warns of.
struct Switched {
  const char *name, *key, *value;
};
void PrintTo(const Switched& s, std::ostream* out) { *out << s.name << " " << s.key << " " << s.value; }

class SwitchedFault : public ::testing::TestWithParam<Switched> {};

TEST_P(SwitchedFault, IsSeen) {
  const Golden golden(GetParam().name);
  const EngineSettings settings{
      .dtype = DType::f32, .micro_batch = 1, .overrides = {{GetParam().key, GetParam().value}}};
  EXPECT_FALSE(agrees(compare(golden, compute(golden, settings), DType::f32), DType::f32));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, SwitchedFault,
    ::testing::Values(Switched{"gpt_oss_20b/published_1x13", "model.rope.factor", "16"},
                      Switched{"gpt_oss_20b/published_1x13", "model.window_keys", "6"},
                      Switched{"gpt_oss_20b/submitted_3x11", "model.norm_epsilon", "1e-3"},
                      Switched{"gpt_oss_20b/reference_3x17", "model.activation", "clamped_swiglu"},
                      Switched{"llama31_405b/reference_1x13", "model.rope.factor", "1"},
                      // The auxiliary loss counted twice.
                      Switched{"deepseekv3_671b/reference_1x13", "model.router.aux_loss", "0.02"},
                      Switched{"deepseekv3_671b/reference_1x13", "model.multi_token.weight", "0.2"},
                      Switched{"deepseekv3_671b/reference_1x13", "model.rope.mscale_all_dim", "0"}));

// Faults put into the reference, with the weights and tokens of reference_1x13: the prediction module's share of tied
// gradients lost, expert biases in the gate weights.
class RecordedFault : public ::testing::TestWithParam<const char*> {};

TEST_P(RecordedFault, IsSeen) {
  const Golden right("deepseekv3_671b/reference_1x13"), wrong(std::string("deepseekv3_671b/") + GetParam());
  EXPECT_EQ(right.batch(0).tokens, wrong.batch(0).tokens);
  const Computed computed = compute(wrong, {.dtype = DType::f64, .micro_batch = 1});
  EXPECT_TRUE(agrees(compare(right, computed, DType::f64), DType::f64));
  const Agreement worst = compare(wrong, computed, DType::f64);
  EXPECT_FALSE(agrees(worst, DType::f64));
  EXPECT_FALSE(agrees(worst, DType::f32));
}

INSTANTIATE_TEST_SUITE_P(DeepSeek, RecordedFault, ::testing::Values("fault_lost_tie", "fault_bias_in_weights"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace timetrial::fidelity
