// The memory plan, kind by kind, from a model whose sizes are known.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/memory_plan.h"

#include <gtest/gtest.h>

namespace timetrial {
namespace {

// Per token: 64 floats kept, 128 deferred, then 64 more of another layer; scratch of `evaluation` floats when
// evaluating.
class KnownModel : public Model {
 public:
  KnownModel(int64_t train_scratch, int64_t evaluation_scratch) : train_(train_scratch), evaluate_(evaluation_scratch) {
    list_.add({.name = "w", .shape = {128}});
    list_.add({.name = "e", .shape = {256}, .reduce = ReduceGroup::expert});
  }
  const ParameterList& parameters() const override { return list_; }
  void plan_forward(Plan& plan, int64_t tokens) const override {
    if (plan.mode() == Mode::train) plan.keep({0}, DType::f32, {tokens, 64});
    Plan::Scope scope(plan);
    plan.temporary(DType::f32, {tokens, plan.mode() == Mode::train ? train_ : evaluate_});
  }
  void plan_backward(Plan& plan, int64_t tokens) const override {
    plan.defer({1}, DType::f32, {tokens, 128});
    plan.weights_done();
    plan.defer({2}, DType::f32, {tokens, 64});
    plan.weights_done();
  }
  void forward(const Tensor&, const MicroBatch&, Pass&) const override { throw Error("plans only"); }
  void backward(const MicroBatch&, double, Pass&) const override { throw Error("plans only"); }

 private:
  int64_t train_, evaluate_;
  ParameterList list_;
};

RunConfig batches_of(int64_t micro_batch, int64_t global_batch, DType dtype) {
  RunConfig config;
  config.model.sequence_length = 16;
  config.train.micro_batch = micro_batch;
  config.train.global_batch = global_batch;
  config.device.dtype = dtype;
  return config;
}

TEST(MemoryPlan, CountsEveryKind) {
  const MemoryPlan plan = plan_memory(KnownModel(64, 192), batches_of(2, 6, DType::f32));  // 32 tokens, 3 micro batches
  EXPECT_EQ(plan.parameters.weights, 384U * 4);
  EXPECT_EQ(plan.parameters.gradients, 384U * 4);
  EXPECT_EQ(plan.parameters.moments, 384U * 8);
  EXPECT_EQ(plan.activations, 32U * 64 * 4);
  EXPECT_EQ(plan.deferred, 32U * 128 * 4);
  EXPECT_EQ(plan.scratch, 32U * 192 * 4);
  // Three sets of tokens and labels of every micro batch, losses of one.
  EXPECT_EQ(plan.staging, 32U * (3 * 3 * 2 * 4 + 4));
  EXPECT_EQ(plan.total(), 384U * 16 + 32U * (64 + 128 + 192) * 4 + 32U * 76);
}

TEST(MemoryPlan, SetsOnTheHostAreNoDeviceMemory) {
  RunConfig config = batches_of(2, 6, DType::f32);
  config.device.kind = DeviceKind::cuda;
  EXPECT_EQ(plan_memory(KnownModel(64, 192), config).staging, 32U * (3 * 2 * 4 + 4));
}

TEST(MemoryPlan, DataIsOfTheHost) {
  RunConfig config = batches_of(2, 6, DType::f32);
  const MemoryPlan without = plan_memory(KnownModel(64, 192), config);
  const MemoryPlan on_cpu = plan_memory(KnownModel(64, 192), config, 1000);
  EXPECT_EQ(on_cpu.total(), without.total() + 1000);
  EXPECT_EQ(on_cpu.host(), on_cpu.total());
  config.device.kind = DeviceKind::cuda;
  const MemoryPlan on_gpu = plan_memory(KnownModel(64, 192), config, 1000);
  EXPECT_EQ(on_gpu.total(), plan_memory(KnownModel(64, 192), config).total());
  EXPECT_EQ(on_gpu.host(), 1000U);
}

TEST(MemoryPlan, ScratchIsTheLargerOfTrainingAndEvaluation) {
  EXPECT_EQ(plan_memory(KnownModel(256, 192), batches_of(2, 6, DType::f32)).scratch, 32U * 256 * 4);
}

TEST(MemoryPlan, NarrowWeightsHaveMasters) {
  const MemoryPlan plan = plan_memory(KnownModel(64, 64), batches_of(2, 6, DType::bf16));
  EXPECT_EQ(plan.parameters.master, 384U * 4);
  size_t sum = 0;
  for (const auto& [name, bytes] : plan.rows()) {
    if (name == "master weights") {
      EXPECT_EQ(bytes, plan.parameters.master);
    }
    sum += bytes;
  }
  EXPECT_EQ(plan.total(), sum);
  EXPECT_EQ(sum, 384U * (2 + 4 + 4 + 8) + plan.activations + plan.deferred + plan.scratch + plan.staging);
}

}  // namespace
}  // namespace timetrial
