// Every workload's checkpoint format names its parameters, all of them, in every variant and form.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "timetrial/train/weights.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial::fidelity {
namespace {

std::vector<std::unique_ptr<Workload>> workloads() {
  std::vector<std::unique_ptr<Workload>> all;
  all.push_back(gpt_oss_20b::make_workload());
  all.push_back(llama31_405b::make_workload());
  all.push_back(deepseekv3_671b::make_workload());
  return all;
}

RunConfig config_of(const Workload& workload, const std::string& variant, const std::string& form) {
  const Json user = {{"workload", workload.name()},
                     {"variant", variant},
                     {"form", form},
                     {"data", {{"train", "unused"}, {"validation", "unused"}}},
                     {"output", {{"folder", "unused"}}}};
  return parse_run_config(user, workload.benchmark(), "format", {});
}

TEST(CheckpointFormats, NameEveryParameterOnce) {
  int checked = 0;
  for (const auto& workload : workloads())
    for (const auto& [variant, ignored] : workload->benchmark()["variants"].items())
      for (const auto& [form, also_ignored] : workload->benchmark()["forms"].items()) {
        const RunConfig config = config_of(*workload, variant, form);
        const auto model = workload->make_model(config, {});
        EXPECT_NO_THROW(check_format(workload->checkpoint_format(config), model->parameters()))
            << config.workload << " " << variant << " " << form;
        ++checked;
      }
  EXPECT_GE(checked, 5 * (3 + 2 + 1));
}

// The stored shapes hold as many elements as the model has parameters, buffers beside them (spec 1.1 to 1.3).
TEST(CheckpointFormats, OfFullSizeHoldEveryElement) {
  for (const auto& workload : workloads()) {
    const RunConfig config = config_of(*workload, "full", workload->benchmark()["default_form"]);
    int64_t elements = 0;
    for (const checkpoint::MappedParameter& parameter : workload->checkpoint_format(config).parameters)
      for (const checkpoint::Piece& piece : parameter.pieces) elements += piece.elements();
    const ModelCounts counts = count(config.model);
    EXPECT_EQ(elements, counts.total + counts.expert_biases) << config.workload;
  }
}

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A checkpoint that the engine reads and writes again in the same type is the same file, padded rows and all.
TEST(CheckpointFormats, ComeBackBitByBit) {
  char pattern[] = "/tmp/timetrial-formats-XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  const std::filesystem::path folder = pattern;
  for (const auto& workload : workloads())
    for (const auto& [form, ignored] : workload->benchmark()["forms"].items()) {
      const RunConfig config = config_of(*workload, "1m", form);
      const auto model = workload->make_model(config, {});
      const checkpoint::Format format = workload->checkpoint_format(config);
      for (const auto& [name, type] :
           {std::pair{"bf16", checkpoint::StoredType::bf16}, {"fp32", checkpoint::StoredType::f32}}) {
        const std::string first = folder / (config.workload + form + name), second = first + "-again";
        ParameterStore drawn(model->parameters(), DType::f32, {}), read(model->parameters(), DType::f32, {});
        drawn.initialize(5, {});
        save_weights(drawn, format, {.folder = first, .type = type}, {});
        load_weights(read, format, first, {});
        save_weights(read, format, {.folder = second, .type = type}, {});
        const std::string bytes = bytes_of(first + "/model.safetensors");
        EXPECT_GT(bytes.size(), 1'000'000u);
        EXPECT_TRUE(bytes == bytes_of(second + "/model.safetensors")) << config.workload << " " << form << " " << name;
      }
    }
  std::filesystem::remove_all(folder);
}

TEST(CheckpointFormats, ThatLeaveSomethingOutAreBugs) {
  const auto workload = llama31_405b::make_workload();
  const RunConfig config = config_of(*workload, "1m", "reference");
  const auto model = workload->make_model(config, {});
  checkpoint::Format format = workload->checkpoint_format(config);
  format.parameters.pop_back();
  EXPECT_THROW(check_format(format, model->parameters()), Error);
  format = workload->checkpoint_format(config);
  format.parameters.front().name = "embeding.weight";
  EXPECT_THROW(check_format(format, model->parameters()), Error);
}

}  // namespace
}  // namespace timetrial::fidelity
