// What a launcher learns of a run, through the text that the worker prints.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/start_facts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

TEST(StartFacts, ComeBackFromTheirText) {
  RunConfig config;
  config.device.kind = DeviceKind::cuda;
  config.parallel.data = 3;
  config.parallel.tensor = 2;
  config.output.folder = "runs/\"ü\"";
  config.cluster.step_deadline = 12.5;
  const StartFacts facts = start_facts(config);
  EXPECT_EQ(facts, (StartFacts{.device = DeviceKind::cuda, .ranks = 6, .folder = "runs/\"ü\"", .step_deadline = 12.5}));
  EXPECT_EQ(start_facts_from(text_of(facts) + "\n"), facts);
}

TEST(StartFacts, OfAnotherProgramAreAnError) {
  for (const char* text : {"", "usage: ...", "{}", R"({"cuda": 1, "ranks": 2, "folder": "a", "step_deadline": 3})"})
    EXPECT_THROW(start_facts_from(text), Error) << text;
}

TEST(AsksForGpus, InTheFileOrBeyondIt) {
  EXPECT_TRUE(asks_for_gpus(Json{{"device", {{"kind", "cuda"}}}}, {}));
  EXPECT_TRUE(asks_for_gpus(Json{{"device.kind", "cpu"}}, {{"device.kind", "cuda"}}));
  EXPECT_FALSE(asks_for_gpus(Json{{"device.kind", "cuda"}}, {{"device.kind", "cpu"}}));
  EXPECT_FALSE(asks_for_gpus(Json::object(), {}));
  EXPECT_THROW(asks_for_gpus(Json::object(), {{"device.kid", "cuda"}}), ConfigError);
}

}  // namespace
}  // namespace timetrial
