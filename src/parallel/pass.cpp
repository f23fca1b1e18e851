// The stash's bookkeeping, and where a pass puts what forward makes.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/pass.h"

#include <cstring>

#include "timetrial/base/build.h"

namespace timetrial {

Stash::Stash(std::vector<PlannedTensor> layout, Device device, size_t bytes)
    : layout_(std::move(layout)), tensors_(layout_.size()), buffer_(device, bytes) {}

Tensor Stash::keep(SavedId id, DType dtype, Shape shape) {
  const auto index = static_cast<size_t>(id.index);
  TIMETRIAL_CHECK(index < layout_.size() && layout_[index].planned, "tensor {} was not planned", id.index);
  const PlannedTensor& planned = layout_[index];
  TIMETRIAL_CHECK(planned.dtype == dtype && planned.shape == shape, "tensor {} is {} {}, planned {} {}", id.index,
                  name_of(dtype), shape, name_of(planned.dtype), planned.shape);
  TIMETRIAL_CHECK(!tensors_[index], "tensor {} is still in use", id.index);
  tensors_[index] = Tensor(buffer_.data() + planned.offset, dtype, shape, buffer_.device());
  return tensors_[index];
}

void Stash::refer(SavedId id, const Tensor& tensor) {
  const auto index = static_cast<size_t>(id.index);
  if (tensors_.size() <= index) tensors_.resize(index + 1);
  TIMETRIAL_CHECK(!tensors_[index], "tensor {} is still in use", id.index);
  tensors_[index] = tensor;
}

Tensor Stash::saved(SavedId id) const {
  const auto index = static_cast<size_t>(id.index);
  TIMETRIAL_CHECK(index < tensors_.size() && tensors_[index], "tensor {} was kept by no forward of this micro batch",
                  id.index);
  return tensors_[index];
}

bool Stash::has(SavedId id) const {
  const auto index = static_cast<size_t>(id.index);
  return index < tensors_.size() && tensors_[index];
}

void Stash::release() {
  for (Tensor& tensor : tensors_) tensor = {};
  if (build::debug && buffer_.device().kind == DeviceKind::cpu && buffer_.bytes() > 0)
    std::memset(buffer_.data(), 0xFF, buffer_.bytes());
}

Kept Pass::keep(SavedId id, DType dtype, Shape shape, Keep keep) {
  const bool kept = is_kept(recompute, keep);
  switch (mode) {
    case Mode::train:
      return kept ? stash.keep(id, dtype, shape) : allocate(scratch, dtype, shape);
    case Mode::replay:
      return kept ? Kept(stash.saved(id), true) : Kept(deferred.keep(id, dtype, shape));
    case Mode::evaluate:
      return allocate(scratch, dtype, shape);
  }
  throw Error("unknown mode");
}

void Pass::refer(SavedId id, const Tensor& tensor) {
  switch (mode) {
    case Mode::train:
      return stash.refer(id, tensor);
    case Mode::replay:
      return deferred.refer(id, tensor);
    case Mode::evaluate:
      return;
  }
}

}  // namespace timetrial
