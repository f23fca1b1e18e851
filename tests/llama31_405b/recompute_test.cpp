// Recomputation in llama31_405b.
// SPDX-License-Identifier: Apache-2.0
#include "fixtures/recompute.h"

#include "fixtures/devices.h"
#include "llama31_405b/fixture.h"

namespace timetrial::testing {
namespace {

using LlamaRecompute = fixtures::PlaceTest;

TEST_P(LlamaRecompute, GivesTheSameBitsWithLessMemory) {
  RunConfig config = llama_config("small", {{"model.layers", "3"},
                                            {"model.sequence_length", "40"},
                                            {"model.vocabulary", "256"},
                                            {"train.global_batch", "4"},
                                            {"train.micro_batch", "2"},
                                            {"evaluation.samples", "4"}});
  config.device.dtype = dtype();
  fixtures::expect_recompute_is_exact(*llama31_405b::make_workload(), config, device());
}

INSTANTIATE_TEST_SUITE_P(Places, LlamaRecompute, ::testing::ValuesIn(fixtures::places()), fixtures::place_test_name);

}  // namespace
}  // namespace timetrial::testing
