// Tensor: a non-owning, contiguous, row-major view: data, element type, shape, device.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "timetrial/base/dtype.h"
#include "timetrial/base/error.h"
#include "timetrial/base/shape.h"
#include "timetrial/device/arena.h"
#include "timetrial/device/device.h"

namespace timetrial {

// Cheap to copy. A default-made tensor is empty and tests false; optional arguments use that.
class Tensor {
 public:
  Tensor() = default;
  Tensor(void* data, DType dtype, Shape shape, Device device)
      : data_(static_cast<std::byte*>(data)), dtype_(dtype), shape_(shape), device_(device) {}

  explicit operator bool() const { return data_ != nullptr; }
  void* raw() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t elements() const { return shape_.elements(); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  Device device() const { return device_; }

  // The data as T; throws Error when T is not the tensor's element type.
  template <class T>
  T* data() const {
    TIMETRIAL_CHECK(dtype_of<T>::value == dtype_, "tensor holds {}, asked for {}", name_of(dtype_),
                    name_of(dtype_of<T>::value));
    return reinterpret_cast<T*>(data_);
  }

  // The same elements under another shape of equal size.
  Tensor reshape(Shape shape) const;
  // Rows [begin, end) of the first dimension.
  Tensor rows(int64_t begin, int64_t end) const;

 private:
  std::byte* data_ = nullptr;
  DType dtype_ = DType::f32;
  Shape shape_;
  Device device_;
};

// Takes a tensor from an arena; valid as long as the arena's innermost scope.
Tensor allocate(Arena& arena, DType dtype, Shape shape);

// A tensor that owns its memory, zero-filled; for tests, tools and long-lived state.
class OwnedTensor {
 public:
  OwnedTensor() = default;
  OwnedTensor(DType dtype, Shape shape, Device device = {});
  const Tensor& view() const { return view_; }
  operator const Tensor&() const { return view_; }

 private:
  Buffer buffer_;
  Tensor view_;
};

// Host copies, converting between floating types. They wait for the stream.
std::vector<double> to_host(const Tensor& tensor, StreamRef stream);
void from_host(const Tensor& tensor, const std::vector<double>& values, StreamRef stream);
std::vector<int32_t> to_host_i32(const Tensor& tensor, StreamRef stream);
void from_host_i32(const Tensor& tensor, const std::vector<int32_t>& values, StreamRef stream);

float to_float(bfloat16 value);
bfloat16 to_bfloat16(float value);  // round to nearest even; NaN stays NaN

}  // namespace timetrial
