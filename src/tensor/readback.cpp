// Two slots of host memory, each with the event behind its copies.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/tensor/readback.h"

#include <cstring>

namespace timetrial {

namespace {

constexpr size_t kValueBytes = sizeof(double);  // room for any type

template <class T>
double read(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

}  // namespace

Readback::Readback(Device device, int64_t values)
    : slots_{Slot{HostBuffer(device, static_cast<size_t>(values) * kValueBytes), Event(device), {}},
             Slot{HostBuffer(device, static_cast<size_t>(values) * kValueBytes), Event(device), {}}},
      values_(static_cast<size_t>(values)) {
  for (Slot& slot : slots_) slot.types.reserve(values_);
}

Readback::Ticket Readback::publish(std::initializer_list<Tensor> tensors, StreamRef stream) {
  Slot& slot = slots_[static_cast<size_t>(next_ % 2)];
  slot.types.clear();
  size_t offset = 0;
  for (const Tensor& tensor : tensors) {
    TIMETRIAL_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64 || tensor.dtype() == DType::i32,
                    "readback of {}", name_of(tensor.dtype()));
    slot.types.insert(slot.types.end(), static_cast<size_t>(tensor.elements()), tensor.dtype());
    TIMETRIAL_CHECK(slot.types.size() <= values_, "readback of more than {} values", values_);
    queue_copy(slot.host.data() + offset, tensor.raw(), tensor.bytes(), stream);
    offset += tensor.bytes();
  }
  slot.arrived.record(stream);
  return next_++;
}

const Readback::Slot& Readback::slot(Ticket ticket) const {
  TIMETRIAL_CHECK(ticket >= 0 && ticket < next_ && ticket >= next_ - 2, "publication {} of {}: two are held", ticket,
                  next_);
  return slots_[static_cast<size_t>(ticket % 2)];
}

bool Readback::ready(Ticket ticket) const { return slot(ticket).arrived.done(); }

std::vector<double> Readback::take(Ticket ticket) const {
  const Slot& from = slot(ticket);
  from.arrived.wait();
  std::vector<double> values;
  const std::byte* at = from.host.data();
  for (const DType type : from.types) {
    if (type == DType::f64) values.push_back(read<double>(at));
    if (type == DType::f32) values.push_back(read<float>(at));
    if (type == DType::i32) values.push_back(read<int32_t>(at));
    at += size_of(type);
  }
  return values;
}

}  // namespace timetrial
