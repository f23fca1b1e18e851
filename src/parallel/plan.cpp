// Offsets and peaks of declared tensors.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/plan.h"

#include <algorithm>

namespace timetrial {

namespace {

size_t rounded_bytes(DType dtype, const Shape& shape) {
  return arena_bytes(static_cast<size_t>(shape.elements()) * size_of(dtype));
}

void enter(std::vector<PlannedTensor>& tensors, SavedId id, size_t offset, DType dtype, const Shape& shape) {
  TIMETRIAL_CHECK(id.index >= 0, "a tensor without a name");
  if (tensors.size() <= static_cast<size_t>(id.index)) tensors.resize(static_cast<size_t>(id.index) + 1);
  PlannedTensor& tensor = tensors[static_cast<size_t>(id.index)];
  TIMETRIAL_CHECK(!tensor.planned, "tensor {} is planned twice", id.index);
  tensor = {offset, dtype, shape, true};
}

}  // namespace

void Plan::keep(SavedId id, DType dtype, Shape shape) {
  if (mode_ == Mode::evaluate) return temporary(dtype, shape);
  enter(kept_, id, kept_bytes_, dtype, shape);
  kept_bytes_ += rounded_bytes(dtype, shape);
}

void Plan::defer(SavedId id, DType dtype, Shape shape) {
  enter(deferred_, id, deferred_used_, dtype, shape);
  deferred_used_ += rounded_bytes(dtype, shape);
  deferred_peak_ = std::max(deferred_peak_, deferred_used_);
}

void Plan::temporary(DType dtype, Shape shape) {
  temporary_bytes(static_cast<size_t>(shape.elements()) * size_of(dtype));
}

void Plan::temporary_bytes(size_t bytes) {
  scratch_used_ += arena_bytes(bytes);
  scratch_peak_ = std::max(scratch_peak_, scratch_used_);
}

void Plan::workspace(size_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, arena_bytes(bytes)); }

void Plan::weights_done() { deferred_used_ = 0; }

}  // namespace timetrial
