// Sizes of what the provider makes, in the order in which it makes them.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/data_memory.h"

#include <numeric>

#include "timetrial/base/error.h"
#include "timetrial/data/blend.h"
#include "timetrial/data/indexed_tokens.h"
#include "timetrial/data/sample_order.h"

namespace timetrial {
namespace {

struct Planned {
  size_t bytes = 0;     // of the index and of the order
  int64_t samples = 0;  // of the order
};

Planned plan_file(const std::string& prefix, int64_t sequence_length, int64_t samples, bool shuffle) {
  const TokenFileSize file = token_file_size(prefix);
  const size_t index = static_cast<size_t>(file.documents + 1) * sizeof(int64_t);
  if (file.tokens == 0) return {.bytes = index, .samples = 0};  // the provider refuses it, by its name
  const SampleOrderExtent extent = SampleOrder::extent(file.tokens, sequence_length, samples);
  return {.bytes = index + SampleOrder::planned_bytes(extent, file.documents, shuffle), .samples = extent.samples};
}

// A cyclic sampler permutes its rank's range of items.
size_t permutation_bytes(SamplerKind kind, int64_t items, int ranks) {
  return kind == SamplerKind::cyclic ? static_cast<size_t>(items / ranks) * sizeof(uint32_t) : 0;
}

size_t training_bytes(const IndexedDataSpec& spec) {
  const size_t files = spec.train_prefixes.size();
  std::vector<double> weights = spec.train_weights;
  if (weights.empty()) weights.assign(files, 1.0);
  TIMETRIAL_CHECK(weights.size() == files, "{} training files, {} weights", files, weights.size());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const bool blended = files > 1;
  size_t bytes = blended ? static_cast<size_t>(spec.training_samples) * Blend::kBytesPerSample : 0;
  int64_t items = spec.training_samples;
  for (size_t file = 0; file < files; ++file) {
    const int64_t samples = blended ? Blend::requested(spec.training_samples, weights[file] / sum) : items;
    const Planned planned = plan_file(spec.train_prefixes[file], spec.sequence_length, samples, true);
    bytes += planned.bytes;
    if (!blended) items = planned.samples;
  }
  return bytes + permutation_bytes(spec.training_sampler, items, spec.dp_size);
}

}  // namespace

size_t planned_data_bytes(const IndexedDataSpec& spec) {
  size_t bytes = spec.training_samples > 0 ? training_bytes(spec) : 0;
  if (spec.evaluation_samples == 0) return bytes;
  const Planned planned = plan_file(spec.validation_prefix, spec.sequence_length, spec.ordered_validation_samples(),
                                    spec.evaluation_order != EvaluationOrder::file);
  bytes += planned.bytes;
  return spec.evaluation_order == EvaluationOrder::cyclic
             ? bytes + permutation_bytes(SamplerKind::cyclic, planned.samples, 1)
             : bytes;
}

}  // namespace timetrial
