// Model and rules of the null workload; benchmark.json travels inside the program.
// SPDX-License-Identifier: Apache-2.0
#include "workloads/null/workload.h"

#include <nlohmann/json.hpp>

namespace timetrial {

namespace embedded {
extern const std::string_view null_benchmark;
}

namespace null_workload {

namespace {

class NullModel : public Model {
 public:
  NullModel() : nothing_(parameters_.add({.name = "nothing", .shape = {1}})) {}

  const ParameterList& parameters() const override { return parameters_; }
  ModelCounts counts(const ModelShape&) const override { return {.total = 1}; }
  void plan_forward(Plan&, int64_t) const override {}
  void plan_backward(Plan&, int64_t) const override {}
  void forward(const Tensor& loss, const MicroBatch&, Pass& pass) const override {
    fill_zero(loss.raw(), loss.bytes(), pass.stream);
  }
  void backward(const MicroBatch&, double, Pass& pass) const override { pass.parameters.grad_ready(nothing_); }

 private:
  ParameterList parameters_;
  ParamId nothing_;
};

class NullWorkload : public Workload {
 public:
  NullWorkload() : benchmark_(parse_json(embedded::null_benchmark, "workloads/null/benchmark.json")) {}
  std::string_view name() const override { return "null"; }
  const Json& benchmark() const override { return benchmark_; }
  std::unique_ptr<Model> make_model(const RunConfig&, Device) const override { return std::make_unique<NullModel>(); }

 private:
  Json benchmark_;
};

}  // namespace

std::unique_ptr<Workload> make_workload() { return std::make_unique<NullWorkload>(); }

}  // namespace null_workload
}  // namespace timetrial
