// Which dataset items a rank reads in which step (workloads.md section 10.4).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "timetrial/config/data_order.h"

namespace timetrial {

struct SamplerSpec {
  SamplerKind kind = SamplerKind::single;
  int64_t items;         // of the dataset
  int64_t global_batch;  // rows of a step over all ranks: a multiple of micro_batch * dp_size
  int64_t micro_batch;   // rows of a micro batch on one rank
  int dp_rank = 0, dp_size = 1;
};

// One thread. Memory: `cyclic` keeps one permutation, 4 bytes per item of this rank.
class Sampler {
 public:
  // Throws UserError when the batch does not divide, or when the items do not fill one step.
  explicit Sampler(const SamplerSpec& spec);

  int64_t micro_batches() const { return micro_batches_; }  // per step and rank
  // Steps that `items` allow without seeing one twice (`single` has no more than these; `cyclic` goes on for ever).
  int64_t steps() const;
  // Appends the micro_batch items of micro batch `micro` of step `step` for this rank.
  void append(int64_t step, int64_t micro, std::vector<int64_t>& items);

 private:
  SamplerSpec spec_;
  int64_t micro_batches_;
  int64_t bucket_;     // cyclic: items of one rank
  int64_t pass_ = -1;  // cyclic: the pass that permutation_ belongs to
  std::vector<uint32_t> permutation_;
};

}  // namespace timetrial
