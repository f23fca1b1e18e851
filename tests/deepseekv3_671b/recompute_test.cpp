// Recomputation in deepseekv3_671b: latent attention, sigmoid router, shared expert, the prediction module.
// SPDX-License-Identifier: Apache-2.0
#include "fixtures/recompute.h"

#include "deepseekv3_671b/fixture.h"
#include "fixtures/devices.h"

namespace timetrial::testing {
namespace {

using DeepSeekRecompute = fixtures::PlaceTest;

TEST_P(DeepSeekRecompute, GivesTheSameBitsWithLessMemory) {
  RunConfig config = small_config("small", {{"model.layers", "3"},
                                            {"model.sequence_length", "40"},
                                            {"model.vocabulary", "256"},
                                            {"train.global_batch", "4"},
                                            {"train.micro_batch", "2"},
                                            {"evaluation.samples", "4"}});
  config.device.dtype = dtype();
  ASSERT_EQ(config.model.multi_token.modules, 1);
  fixtures::expect_recompute_is_exact(*deepseekv3_671b::make_workload(), config, device());
}

// Expert biases move by counted tokens: a replay that counted again would move them twice as far from balance.
TEST(DeepSeekReplay, CountsTokensOnce) {
  std::vector<std::vector<int32_t>> counts;
  for (const Recompute level : {Recompute::off, Recompute::selective, Recompute::full}) {
    RunConfig config = tiny_config();
    config.device.recompute = level;
    Machine machine(config);
    machine.executor.train_step(random_batch(config, config.train.global_batch, 5), 1e-3, 0);
    const ExpertBias bias = machine.model->parameters().expert_biases().front();
    counts.push_back(to_host_i32(machine.executor.parameters().expert_counts(bias.id), machine.executor.stream()));
  }
  EXPECT_EQ(counts[1], counts[0]);
  EXPECT_EQ(counts[2], counts[0]);
}

INSTANTIATE_TEST_SUITE_P(Places, DeepSeekRecompute, ::testing::ValuesIn(fixtures::places()), fixtures::place_test_name);

}  // namespace
}  // namespace timetrial::testing
