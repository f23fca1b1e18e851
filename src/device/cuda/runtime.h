// The few CUDA runtime calls the device layer needs, without CUDA headers. Defined only in CUDA builds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace timetrial::cuda {

int device_count();
void use(int device);  // the calling thread's from now on
int in_use();          // by the calling thread
bool is_emulated();    // by tests/emulation, in place of a GPU
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
struct Properties {
  std::string name;
  int major, minor;
  size_t memory_bytes;
  bool ecc;
};
Properties properties(int device);
std::string pci_bus_id(int device);
void memory_info(int device, size_t& free, size_t& total);
int runtime_version();  // 13000 for 13.0
void push_range(const char* name, int64_t number);
void pop_range();
// What Nsight records with --capture-range=cudaProfilerApi.
void profiler_start();
void profiler_stop();
void* create_event(int device);
void destroy_event(void* event) noexcept;
void record_event(void* event, void* stream);
bool event_done(void* event);
void wait_event(void* event);
void* allocate_host(int device, size_t bytes);  // page-locked
void release_host(void* data) noexcept;
void fill_zero(int device, void* data, size_t bytes, void* stream);

}  // namespace timetrial::cuda
