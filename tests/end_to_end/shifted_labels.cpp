// A run whose training labels are off by one (every token predicts itself). It must not reach the target: a benchmark
// that such a mistake passes would measure nothing. Evaluation is left right. SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "apps/exit_code.h"
#include "apps/train_run.h"
#include "timetrial/config/config_file.h"
#include "workloads/gpt_oss_20b/workload.h"

namespace timetrial {
namespace {

class ShiftedLabels : public Model {
 public:
  explicit ShiftedLabels(std::unique_ptr<Model> model) : model_(std::move(model)) {}
  const ParameterList& parameters() const override { return model_->parameters(); }
  void plan_forward(Plan& plan, int64_t tokens) const override { model_->plan_forward(plan, tokens); }
  void plan_backward(Plan& plan, int64_t tokens) const override { model_->plan_backward(plan, tokens); }
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override {
    model_->forward(loss, pass.mode == Mode::train ? MicroBatch{.ids = batch.ids, .labels = batch.ids} : batch, pass);
  }
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override {
    model_->backward({.ids = batch.ids, .labels = batch.ids}, loss_scale, pass);
  }

 private:
  std::unique_ptr<Model> model_;
};

class ShiftedWorkload : public Workload {
 public:
  std::string_view name() const override { return right_->name(); }
  const Json& benchmark() const override { return right_->benchmark(); }
  std::unique_ptr<Model> make_model(const RunConfig& config, Device device) const override {
    return std::make_unique<ShiftedLabels>(right_->make_model(config, device));
  }

 private:
  std::unique_ptr<Workload> right_ = gpt_oss_20b::make_workload();
};

}  // namespace
}  // namespace timetrial

int main(int argc, char** argv) {
  using namespace timetrial;
  return apps::guarded_main([&] {
    if (argc < 2) throw UserError("usage: run_shifted_labels CONFIG [KEY=VALUE ...]");
    Overrides overrides;
    for (int i = 2; i < argc; ++i) overrides.push_back(split_override(argv[i]));
    const ShiftedWorkload workload;
    const std::atomic<int> interrupt{0};
    const Json user = read_config_file(argv[1]);
    return apps::train(parse_run_config(user, workload.benchmark(), config_name(argv[1]), overrides), workload, {},
                       interrupt);
  });
}
