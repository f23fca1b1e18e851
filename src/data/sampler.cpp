// The single and the cyclic sampler: pure index arithmetic, plus torch.randperm for the second.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/sampler.h"

#include "timetrial/base/error.h"
#include "timetrial/data/numpy_random.h"

namespace timetrial {

Sampler::Sampler(const SamplerSpec& spec) : spec_(spec) {
  TIMETRIAL_CHECK(spec.dp_size > 0 && spec.dp_rank >= 0 && spec.dp_rank < spec.dp_size, "data rank {} of {}",
                  spec.dp_rank, spec.dp_size);
  if (spec.micro_batch <= 0 || spec.global_batch <= 0 || spec.global_batch % (spec.micro_batch * spec.dp_size) != 0) {
    throw UserError(
        fmt::format("a global batch of {} rows is not a multiple of micro batch {} x {} data-parallel ranks; change "
                    "one of them",
                    spec.global_batch, spec.micro_batch, spec.dp_size));
  }
  micro_batches_ = spec.global_batch / (spec.micro_batch * spec.dp_size);
  bucket_ = spec.items / (spec.micro_batch * spec.dp_size) * spec.micro_batch;
  if (spec.items < spec.global_batch) {
    throw UserError(
        fmt::format("the data gives {} samples, one step needs {}; use more data, a shorter sequence or a smaller "
                    "global batch",
                    spec.items, spec.global_batch));
  }
}

int64_t Sampler::steps() const {
  switch (spec_.kind) {
    case SamplerKind::single:
      return spec_.items / spec_.global_batch;
    case SamplerKind::cyclic:
      return bucket_ * spec_.dp_size / spec_.global_batch;
  }
  throw Error(fmt::format("unknown sampler {}", static_cast<int>(spec_.kind)));
}

void Sampler::append(int64_t step, int64_t micro, std::vector<int64_t>& items) {
  TIMETRIAL_CHECK(step >= 0 && micro >= 0 && micro < micro_batches_, "step {}, micro batch {} of {}", step, micro,
                  micro_batches_);
  const int64_t mbs = spec_.micro_batch;
  if (spec_.kind == SamplerKind::single) {
    TIMETRIAL_CHECK(step < steps(), "step {} of {}", step, steps());
    const int64_t first = step * spec_.global_batch + (micro * spec_.dp_size + spec_.dp_rank) * mbs;
    for (int64_t row = 0; row < mbs; ++row) items.push_back(first + row);
    return;
  }
  // A bucket holds whole micro batches, so none straddles two passes; a step may.
  const int64_t local = (step * micro_batches_ + micro) * mbs;
  const int64_t pass = local / bucket_;
  if (pass != pass_) {
    permutation_ = torch_randperm(bucket_, static_cast<uint32_t>(pass));
    pass_ = pass;
  }
  for (int64_t row = 0; row < mbs; ++row) {
    items.push_back(spec_.dp_rank * bucket_ + permutation_[static_cast<size_t>(local % bucket_ + row)]);
  }
}

}  // namespace timetrial
