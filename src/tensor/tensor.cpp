// Views, owned tensors and host copies.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/tensor/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace timetrial {

Tensor Tensor::reshape(Shape shape) const {
  TIMETRIAL_CHECK(shape.elements() == elements(), "{} cannot be seen as {}", shape_, shape);
  return {data_, dtype_, shape, device_};
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  TIMETRIAL_CHECK(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "rows [{}, {}) of {}", begin,
                  end, shape_);
  const int64_t row = shape_[0] == 0 ? 0 : elements() / shape_[0];
  Shape shape;
  switch (shape_.rank()) {
    case 1:
      shape = {end - begin};
      break;
    case 2:
      shape = {end - begin, shape_[1]};
      break;
    case 3:
      shape = {end - begin, shape_[1], shape_[2]};
      break;
    default:
      shape = {end - begin, shape_[1], shape_[2], shape_[3]};
      break;
  }
  return {data_ + static_cast<size_t>(begin * row) * size_of(dtype_), dtype_, shape, device_};
}

Tensor allocate(Arena& arena, DType dtype, Shape shape) {
  return {arena.allocate(static_cast<size_t>(shape.elements()) * size_of(dtype)), dtype, shape, arena.device()};
}

OwnedTensor::OwnedTensor(DType dtype, Shape shape, Device device)
    // A tensor of no elements still has an address, so that it does not look like an absent optional.
    : buffer_(device, std::max<size_t>(static_cast<size_t>(shape.elements()) * size_of(dtype), 1)),
      view_(buffer_.data(), dtype, shape, device) {}

float to_float(bfloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16); }

bfloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return {static_cast<uint16_t>((bits >> 16) | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}

namespace {

template <class T>
std::vector<T> raw_to_host(const Tensor& tensor, StreamRef stream) {
  std::vector<T> values(static_cast<size_t>(tensor.elements()));
  copy_bytes(values.data(), {}, tensor.data<T>(), tensor.device(), tensor.bytes(), stream);
  return values;
}

template <class T>
void raw_from_host(const Tensor& tensor, const std::vector<T>& values, StreamRef stream) {
  TIMETRIAL_CHECK(static_cast<int64_t>(values.size()) == tensor.elements(), "{} values for {}", values.size(),
                  tensor.shape());
  copy_bytes(tensor.data<T>(), tensor.device(), values.data(), {}, tensor.bytes(), stream);
}

}  // namespace

std::vector<double> to_host(const Tensor& tensor, StreamRef stream) {
  switch (tensor.dtype()) {
    case DType::f64:
      return raw_to_host<double>(tensor, stream);
    case DType::f32: {
      const auto raw = raw_to_host<float>(tensor, stream);
      return {raw.begin(), raw.end()};
    }
    case DType::bf16: {
      const auto raw = raw_to_host<bfloat16>(tensor, stream);
      std::vector<double> values(raw.size());
      for (size_t i = 0; i < raw.size(); ++i) values[i] = to_float(raw[i]);
      return values;
    }
    case DType::i32:
    case DType::i64:
      break;
  }
  throw Error("to_host: not a floating tensor");
}

void from_host(const Tensor& tensor, const std::vector<double>& values, StreamRef stream) {
  switch (tensor.dtype()) {
    case DType::f64:
      return raw_from_host<double>(tensor, values, stream);
    case DType::f32:
      return raw_from_host<float>(tensor, {values.begin(), values.end()}, stream);
    case DType::bf16: {
      std::vector<bfloat16> raw(values.size());
      for (size_t i = 0; i < raw.size(); ++i) raw[i] = to_bfloat16(static_cast<float>(values[i]));
      return raw_from_host<bfloat16>(tensor, raw, stream);
    }
    case DType::i32:
    case DType::i64:
      break;
  }
  throw Error("from_host: not a floating tensor");
}

std::vector<int32_t> to_host_i32(const Tensor& tensor, StreamRef stream) {
  return raw_to_host<int32_t>(tensor, stream);
}

void from_host_i32(const Tensor& tensor, const std::vector<int32_t>& values, StreamRef stream) {
  raw_from_host<int32_t>(tensor, values, stream);
}

}  // namespace timetrial
