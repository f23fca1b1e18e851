// Ten steps of a tiny model on one rank and on many, and how far apart they come out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/comm/communicator.h"
#include "timetrial/train/executor.h"

namespace timetrial::testing {

constexpr int kSteps = 10;
constexpr int64_t kGlobalBatch = 24;  // divides by 2, 3, 4 and 8 ranks

// What a run leaves to compare: everything of step 0 before clipping, then the rest of the steps.
struct Trace {
  std::vector<std::vector<double>> gradients;  // per trainable parameter, of step 0
  std::vector<std::string> names;              // of them
  std::vector<double> losses, norms;           // per step
  std::vector<double> buffers;                 // expert biases at the end
  std::vector<std::vector<int64_t>> load;      // of the last step
  std::string weights;                         // hash at the end
  double evaluation = 0;                       // mean loss over 7 sequences at the end
};

// Stands between a run and the truth, for faults; both leave things as they are when they are null.
struct Meddling {
  std::function<std::unique_ptr<comm::Communicator>(std::unique_ptr<comm::Communicator>)> world;
  std::function<std::unique_ptr<Model>(std::unique_ptr<Model>, const RunConfig&)> model;
};

// "gpt_oss_20b", "llama31_405b" or "deepseekv3_671b" with a few thousand parameters and every structural feature.
// Buckets are small, so that there are many.
RunConfig tiny_config(const std::string& workload, DType dtype, int ranks);

std::unique_ptr<Workload> workload_of_name(const std::string& name);

// Of a rank: the CPU, or the GPU of its number where the configuration asks for GPUs.
Device device_of(const RunConfig& config, int rank);

// Sequences of tokens drawn from `seed`, and some of them.
HostBatch random_rows(const RunConfig& config, int64_t rows, uint32_t seed);
HostBatch rows_of(const HostBatch& all, const std::vector<int64_t>& rows);

// The traces of all ranks of a run on the same sequences.
std::vector<Trace> traces(const RunConfig& config, const Meddling& meddling = {});

// One line per difference above `tolerance`, relative to the largest element of what is compared.
std::vector<std::string> differences(const Trace& one, const Trace& other, double tolerance);

}  // namespace timetrial::testing
