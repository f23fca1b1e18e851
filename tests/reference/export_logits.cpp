// export_logits FOLDER: for every workload and form a model of its 1m shape with drawn weights, written as a checkpoint
// in fp32 and in bf16, and the logits that the engine computes from each file; load_exported.py compares them with what
// transformers computes from it. SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "timetrial/train/executor.h"
#include "timetrial/train/weights.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial {
namespace {

constexpr int64_t kRows = 2;

template <class T>
void write_raw(const std::filesystem::path& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file) throw Error(fmt::format("{} cannot be written", path.string()));
}

struct Machine {
  explicit Machine(const Workload& workload, const RunConfig& c)
      : config(c), model(workload.make_model(c, {})), executor(*model, c, {}), format(workload.checkpoint_format(c)) {
    executor.initialize(11);
  }

  // Biases start at 0 and norms at 1, where mistakes hide: moves everything off its start.
  void shake() {
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (int i = 0; i < model->parameters().size(); ++i) {
      const Tensor weight = executor.parameters().weight({i});
      std::vector<double> values = to_host(weight, {});
      for (double& value : values) value += 0.05 * normal(random);
      from_host(weight, values, {});
    }
  }

  std::vector<float> logits(const std::vector<int32_t>& ids) {
    const auto tokens = static_cast<int64_t>(ids.size());
    const ExecutionPlan plan = plan_execution(*model, tokens);
    Stash stash(plan.train.kept(), {}, plan.train.kept_bytes());
    Stash deferred(plan.train.deferred(), {}, plan.train.deferred_bytes());
    Arena scratch("scratch", {}, plan.scratch_bytes());
    const OwnedTensor inputs(DType::i32, {tokens}), losses(DType::f32, {tokens});
    from_host_i32(inputs, ids, {});
    Pass pass{.stream = {},
              .mode = Mode::train,
              .parameters = executor.parameters(),
              .stash = stash,
              .deferred = deferred,
              .scratch = scratch};
    model->forward(losses, {.ids = inputs, .labels = inputs}, pass);
    const std::vector<double> values = to_host(stash.saved(model->logits()), {});
    return {values.begin(), values.end()};
  }

  RunConfig config;
  std::unique_ptr<Model> model;
  Executor executor;
  checkpoint::Format format;
};

Json export_case(const std::filesystem::path& root, const Workload& workload, const std::string& form) {
  const Json user = {{"workload", workload.name()},
                     {"variant", "1m"},
                     {"form", form},
                     {"data", {{"train", "unused"}, {"validation", "unused"}}},
                     {"output", {{"folder", "unused"}}}};
  const RunConfig config =
      parse_run_config(user, workload.benchmark(), "export", {{"train.micro_batch", "2"}, {"train.global_batch", "4"}});
  const std::string name = fmt::format("{}-{}", workload.name(), form);
  const std::filesystem::path folder = root / name;
  std::filesystem::create_directories(folder);
  std::mt19937 random(5);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < kRows * config.model.sequence_length; ++i)
    ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(config.model.vocabulary)));
  write_raw(folder / "ids.i32", ids);

  Machine machine(workload, config);
  machine.shake();
  for (const auto& [type_name, type] :
       {std::pair{"fp32", checkpoint::StoredType::f32}, {"bf16", checkpoint::StoredType::bf16}}) {
    const std::string written = (folder / type_name).string();
    save_weights(machine.executor.parameters(), machine.format, {.folder = written, .type = type}, {});
    Machine reader(workload, config);  // what the file holds, not what was written
    load_weights(reader.executor.parameters(), reader.format, written, {});
    write_raw(folder / fmt::format("{}.logits.f32", type_name), reader.logits(ids));
  }
  return {{"name", name}, {"rows", kRows}, {"length", config.model.sequence_length}};
}

}  // namespace
}  // namespace timetrial

int main(int argc, char** argv) {
  using namespace timetrial;
  if (argc != 2) {
    fmt::print(stderr, "usage: export_logits FOLDER\n");
    return 2;
  }
  try {
    Json cases = Json::array();
    for (const char* form : {"published", "submitted"})
      cases.push_back(export_case(argv[1], *gpt_oss_20b::make_workload(), form));
    for (const char* form : {"published", "reference"})
      cases.push_back(export_case(argv[1], *llama31_405b::make_workload(), form));
    cases.push_back(export_case(argv[1], *deepseekv3_671b::make_workload(), "reference"));
    std::ofstream(std::filesystem::path(argv[1]) / "cases.json") << cases.dump(1) << '\n';
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
  return 0;
}
