// The engine on a recorded case.
// SPDX-License-Identifier: Apache-2.0
#include "fidelity/comparison.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "timetrial/checkpoint/mapping.h"
#include "timetrial/config/schedule.h"
#include "timetrial/train/weights.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial::fidelity {

namespace {

const std::filesystem::path kGolden = TIMETRIAL_SOURCE_DIR "/tests/fidelity/golden";

std::unique_ptr<Workload> workload_named(const std::string& name) {
  if (name == "gpt_oss_20b") return gpt_oss_20b::make_workload();
  if (name == "deepseekv3_671b") return deepseekv3_671b::make_workload();
  if (name == "llama31_405b") return llama31_405b::make_workload();
  throw Error(fmt::format("no workload {}", name));
}

// A run's config, model and memory for a case, with the case's weights.
struct Machine {
  Machine(const Golden& golden, const EngineSettings& settings)
      : workload(workload_named(golden.workload())),
        config(config_of(golden, settings, *workload)),
        model(wrapped(workload->make_model(config, {}), settings)),
        executor(*model, config, {}),
        format(workload->checkpoint_format(config)) {
    if (!settings.overrides.empty()) format.config = nullptr;  // config.json alone would give a fault away
    load_weights(executor.parameters(), format, golden.folder() + "/model.safetensors", executor.stream());
  }

  static RunConfig config_of(const Golden& golden, const EngineSettings& settings, const Workload& workload) {
    const Json user = {{"workload", golden.workload()},
                       {"variant", "1m"},
                       {"data", {{"train", "unused"}, {"validation", "unused"}}},
                       {"output", {{"folder", "unused"}}}};
    std::map<std::string, std::string> merged = {{"device.dtype", std::string(name_of(settings.dtype))},
                                                 {"train.global_batch", std::to_string(golden.rows())},
                                                 {"train.micro_batch", std::to_string(settings.micro_batch)}};
    for (const auto& [key, value] : golden.overrides()) merged[key] = value;
    for (const auto& [key, value] : settings.overrides) merged[key] = value;
    return parse_run_config(user, workload.benchmark(), "case", Overrides(merged.begin(), merged.end()));
  }

  static std::unique_ptr<Model> wrapped(std::unique_ptr<Model> model, const EngineSettings& settings) {
    return settings.wrap ? settings.wrap(std::move(model)) : std::move(model);
  }

  std::unique_ptr<Workload> workload;
  RunConfig config;
  std::unique_ptr<Model> model;
  Executor executor;
  checkpoint::Format format;
};

// Logits and losses of all rows, straight from the model.
void run_forward(Machine& machine, const HostBatch& batch, Computed& out) {
  const int64_t length = batch.row_length - 1, tokens = machine.config.train.micro_batch * length;
  const ExecutionPlan plan = plan_execution(*machine.model, tokens);
  Stash stash(plan.train.kept(), {}, plan.train.kept_bytes());
  Stash deferred(plan.train.deferred(), {}, plan.train.deferred_bytes());
  Arena scratch("scratch", {}, plan.scratch_bytes());
  OwnedTensor ids(DType::i32, {tokens}, {}), labels(DType::i32, {tokens}, {});
  OwnedTensor losses(machine.config.device.dtype, {tokens}, {});
  for (int64_t row = 0; row < batch.rows; row += machine.config.train.micro_batch) {
    for (int64_t r = 0; r < machine.config.train.micro_batch; ++r)
      for (int64_t t = 0; t < length; ++t) {
        const int32_t* source = batch.tokens.data() + (row + r) * batch.row_length + t;
        ids.view().data<int32_t>()[r * length + t] = source[0];
        labels.view().data<int32_t>()[r * length + t] = source[1];
      }
    Pass pass{.stream = machine.executor.stream(),
              .mode = Mode::train,
              .parameters = machine.executor.parameters(),
              .stash = stash,
              .deferred = deferred,
              .scratch = scratch};
    machine.model->forward(losses.view(), {.ids = ids.view(), .labels = labels.view()}, pass);
    for (const double loss : to_host(losses.view(), pass.stream)) out.losses.push_back(loss);
    for (const double logit : to_host(stash.saved(machine.model->logits()), pass.stream)) out.logits.push_back(logit);
    stash.release();
  }
}

// The gradients in transformers' names and layouts: written like a checkpoint and read back, so that the layouts of
// export are tested by the way.
std::map<std::string, Values> gradients_of(Machine& machine) {
  char pattern[] = "/tmp/timetrial-gradients-XXXXXX";
  TIMETRIAL_CHECK(mkdtemp(pattern) != nullptr, "no temporary folder");
  const std::string folder = pattern;
  const ParameterList& list = machine.model->parameters();
  const auto give = [&](size_t parameter, int64_t begin, std::span<double> values) {
    std::fill(values.begin(), values.end(), 0.0);
    for (int i = 0; i < list.size(); ++i) {
      const ParameterSpec& spec = list.specs()[static_cast<size_t>(i)];
      if (spec.name != machine.format.parameters[parameter].name || !spec.trainable) continue;
      const Tensor gradient = machine.executor.parameters().grad({i});
      const Values all = to_host(gradient.reshape({gradient.elements()}), machine.executor.stream());
      std::copy_n(all.begin() + begin, values.size(), values.begin());
    }
  };
  checkpoint::write_checkpoint(machine.format, {.folder = folder, .type = checkpoint::StoredType::f64}, give);
  const checkpoint::CheckpointFolder written(folder);
  std::map<std::string, Values> gradients;
  for (const auto& [name, entry] : written.tensors()) {
    Values values(static_cast<size_t>(entry.tensor.elements()));
    written.file_of(entry).read(entry.tensor, 0, values);
    gradients[name] = std::move(values);
  }
  std::filesystem::remove_all(folder);
  for (const checkpoint::MappedParameter& parameter : machine.format.parameters)
    for (const ParameterSpec& spec : list.specs())
      if (spec.name == parameter.name && !spec.trainable)  // buffers have no gradient
        for (const checkpoint::Piece& piece : parameter.pieces) gradients.erase(piece.tensor);
  return gradients;
}

double largest(const Values& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::fabs(value));
  return most;
}

double worst_of(const Values& computed, const Values& recorded, double scale) {
  if (computed.size() != recorded.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < computed.size(); ++i) {
    const double difference = std::fabs(computed[i] - recorded[i]);
    worst = std::max(worst, std::isfinite(difference) ? difference : INFINITY);
  }
  return scale > 0 ? worst / scale : worst > 0 ? INFINITY : 0;
}

}  // namespace

Golden::Golden(const std::string& name)
    : name_(name),
      folder_((kGolden / name).string()),
      case_(std::make_shared<const Json>(read_json_file(folder_ + "/case.json"))),
      recorded_(folder_ + "/golden.safetensors") {}

std::string Golden::workload() const { return case_->at("workload"); }
int64_t Golden::rows() const { return case_->at("rows"); }
int64_t Golden::steps() const { return case_->at("steps"); }
std::string Golden::versions() const { return case_->at("versions").dump(); }

Overrides Golden::overrides() const {
  Overrides overrides;
  for (const auto& [key, value] : case_->at("overrides").items()) overrides.emplace_back(key, value.get<std::string>());
  return overrides;
}

HostBatch Golden::batch(int64_t step) const {
  const checkpoint::FolderTensor* tokens = recorded_.find("tokens");
  TIMETRIAL_CHECK(tokens != nullptr, "{} has no tokens", name_);
  const int64_t length = tokens->tensor.shape.at(2), count = rows() * length;
  Values values(static_cast<size_t>(count));
  recorded_.file_of(*tokens).read(tokens->tensor, step * count, values);
  HostBatch batch{.tokens = {}, .rows = rows(), .row_length = length};
  for (const double value : values) batch.tokens.push_back(static_cast<int32_t>(value));
  return batch;
}

Values Golden::values(const std::string& tensor) const {
  const checkpoint::FolderTensor* found = recorded_.find(tensor);
  TIMETRIAL_CHECK(found != nullptr, "{} has no {}", name_, tensor);
  Values values(static_cast<size_t>(found->tensor.elements()));
  recorded_.file_of(*found).read(found->tensor, 0, values);
  return values;
}

std::vector<std::string> Golden::gradient_names() const {
  const std::string prefix = "f64.gradient.";
  std::vector<std::string> names;
  for (const auto& [name, entry] : recorded_.tensors())
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  return names;
}

std::vector<std::string> all_cases() {
  std::vector<std::string> cases;
  for (const auto& workload : std::filesystem::directory_iterator(kGolden))
    for (const auto& folder : std::filesystem::directory_iterator(workload.path()))
      if (!folder.path().filename().string().starts_with("fault_"))
        cases.push_back(workload.path().filename().string() + "/" + folder.path().filename().string());
  std::sort(cases.begin(), cases.end());
  return cases;
}

Computed compute(const Golden& golden, const EngineSettings& settings) {
  Machine machine(golden, settings);
  Computed out;
  const HostBatch batch = golden.batch(0);
  run_forward(machine, batch, out);
  machine.executor.train_step(batch, 0, 0);
  out.norm = machine.executor.result().gradient_norm;
  out.gradients = gradients_of(machine);
  return out;
}

Trajectory train(const Golden& golden, const EngineSettings& settings) {
  Machine machine(golden, settings);
  Trajectory trajectory;
  for (int64_t step = 0; step < golden.steps(); ++step) {
    machine.executor.train_step(golden.batch(step), learning_rate_at(machine.config.train, step), step);
    const StepResult result = machine.executor.result();
    trajectory.losses.push_back(result.loss);
    trajectory.norms.push_back(result.gradient_norm);
  }
  return trajectory;
}

Agreement compare(const Golden& golden, const Computed& computed, DType dtype) {
  const std::string kind = std::string(name_of(dtype)) + ".";
  const Values logits = golden.values(kind + "logits"), losses = golden.values(kind + "losses");
  double mean = 0;
  for (const double loss : losses) mean += loss / static_cast<double>(losses.size());
  Agreement agreement{.logits = worst_of(computed.logits, logits, largest(logits)),
                      .losses = worst_of(computed.losses, losses, mean)};
  const std::vector<std::string> names = golden.gradient_names();
  if (names.size() != computed.gradients.size()) agreement.gradients = INFINITY;
  for (const std::string& name : names) {
    const auto found = computed.gradients.find(name);
    const Values recorded = golden.values(kind + "gradient." + name);
    const double worst =
        found == computed.gradients.end() ? INFINITY : worst_of(found->second, recorded, largest(recorded));
    if (worst < agreement.gradients) continue;
    agreement.gradients = worst;
    agreement.worst_gradient = name;
  }
  const double norm = golden.values(kind + "norm").at(0);
  agreement.norm = std::fabs(computed.norm - norm) / norm;
  return agreement;
}

bool agrees(const Agreement& a, DType dtype) {
  if (dtype == DType::f64) return std::max({a.logits, a.losses, a.gradients, a.norm}) <= 1e-9;
  return a.logits <= 1e-5 && a.losses <= 1e-5 && a.gradients <= 1e-4 && a.norm <= 1e-4;
}

}  // namespace timetrial::fidelity
