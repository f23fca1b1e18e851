// One recorded case of the reference, the engine run on it, and how far apart the two are.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/checkpoint/folder.h"
#include "timetrial/train/executor.h"

namespace timetrial::fidelity {

using Values = std::vector<double>;

// What a case's folder holds; see tests/reference/golden.py.
class Golden {
 public:
  explicit Golden(const std::string& name);  // "gpt_oss_20b/published_1x13"

  const std::string& name() const { return name_; }
  const std::string& folder() const { return folder_; }
  std::string workload() const;
  int64_t rows() const;
  int64_t steps() const;
  std::string versions() const;
  Overrides overrides() const;          // of the engine's config
  HostBatch batch(int64_t step) const;  // all rows of a step
  bool has(const std::string& tensor) const { return recorded_.find(tensor) != nullptr; }
  Values values(const std::string& tensor) const;
  std::vector<std::string> gradient_names() const;  // as transformers names the parameters

 private:
  std::string name_, folder_;
  std::shared_ptr<const Json> case_;
  checkpoint::CheckpointFolder recorded_;
};

// Every case under tests/fidelity/golden but those recorded with a fault, fault_*.
std::vector<std::string> all_cases();

struct EngineSettings {
  DType dtype = DType::f32;
  int64_t micro_batch = 1;
  Overrides overrides = {};  // over the case's own: faults come in here
  // Faults of another kind: a wrapper around the workload's model.
  std::function<std::unique_ptr<Model>(std::unique_ptr<Model>)> wrap = {};
};

// What the engine computes for a case, weights from its model.safetensors.
struct Computed {
  Values logits, losses;  // of the first step's rows, before any update
  std::map<std::string, Values>
      gradients;  // of the mean loss, before clipping, as transformers names and lays them out
  double norm = 0;
};
Computed compute(const Golden& golden, const EngineSettings& settings);

struct Trajectory {
  Values losses, norms;
};
Trajectory train(const Golden& golden, const EngineSettings& settings);

// Worst differences. Losses: of each token, relative to the mean loss. Logits and gradients: of each element, relative
// to the largest of its tensor. Norm: relative.
struct Agreement {
  double logits = 0, losses = 0, gradients = 0, norm = 0;
  std::string worst_gradient = {};
};
Agreement compare(const Golden& golden, const Computed& computed, DType dtype);

// What is allowed: 1e-5 for logits and losses and 1e-4 for gradients in fp32, 1e-9 for all in double.
bool agrees(const Agreement& agreement, DType dtype);

}  // namespace timetrial::fidelity
