// Recomputation in gpt_oss_20b, every form.
// SPDX-License-Identifier: Apache-2.0
#include "fixtures/recompute.h"

#include "fixtures/devices.h"
#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

using GptOssRecompute = fixtures::PlaceTest;

TEST_P(GptOssRecompute, GivesTheSameBitsWithLessMemory) {
  for (const char* form : {"submitted", "reference"}) {
    SCOPED_TRACE(form);
    RunConfig config = small_config("small", {{"form", form},
                                              {"model.layers", "3"},
                                              {"model.sequence_length", "40"},
                                              {"model.vocabulary", "256"},
                                              {"train.global_batch", "4"},
                                              {"train.micro_batch", "2"},
                                              {"evaluation.samples", "4"}});
    config.device.dtype = dtype();
    fixtures::expect_recompute_is_exact(*gpt_oss_20b::make_workload(), config, device());
  }
}

INSTANTIATE_TEST_SUITE_P(Places, GptOssRecompute, ::testing::ValuesIn(fixtures::places()), fixtures::place_test_name);

}  // namespace
}  // namespace timetrial::testing
