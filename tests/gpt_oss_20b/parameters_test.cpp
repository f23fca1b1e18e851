// How every parameter of the model starts and is reduced, by name (spec 7.1, 18.2).
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

TEST(GptOssParameters, StartAndReduceAsTheSpecSays) {
  const RunConfig config = small_config("full");
  const auto model = gpt_oss_20b::make_workload()->make_model(config, {});
  for (const ParameterSpec& spec : model->parameters().specs()) {
    const std::string& name = spec.name;
    const bool vector = name.ends_with(".bias") || name.ends_with(".sinks") || name.find("norm.") != std::string::npos;
    const bool to_residual = name.ends_with("attention.output.weight") || name.ends_with("fc2.weight");
    double deviation = vector ? 0 : 0.02;
    if (to_residual) deviation = 0.02 / std::sqrt(48.0);
    if (name.ends_with("router.bias")) deviation = 0.02;
    EXPECT_NEAR(spec.init.standard_deviation, deviation, 1e-12) << name;
    EXPECT_EQ(spec.init.constant, name.find("norm.") != std::string::npos ? 1 : 0) << name;
    const bool expert = name.find(".experts.") != std::string::npos;
    EXPECT_EQ(spec.reduce, expert ? ReduceGroup::expert : ReduceGroup::dense) << name;
    EXPECT_EQ(spec.uses, 1) << name;  // embedding and head are not tied
    EXPECT_EQ(spec.norm_weight, 1) << name;
  }
}

}  // namespace
}  // namespace timetrial::testing
