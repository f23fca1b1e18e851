// The few CUDA runtime calls the device layer needs, without CUDA headers. Defined only in CUDA builds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace timetrial::cuda {

int device_count();
void* create_stream(int device);
void destroy_stream(void* stream) noexcept;
void synchronize(void* stream);
void* create_point(int device);
void destroy_point(void* point) noexcept;
void set_point(void* point, void* stream);
void hold_at_point(void* point, void* stream);
void* allocate(int device, size_t bytes);  // zero-filled
void release(void* data) noexcept;
void copy(void* destination, const void* source, size_t bytes, void* stream, bool wait);
void fill_zero(void* data, size_t bytes, void* stream);

}  // namespace timetrial::cuda
