// Every allocation is a mapping of its own with a page on each side that nobody may touch. Under the address sanitizer
// it is marked for that one instead; under the thread sanitizer, which knows only the heap's reuse, it is plain heap.
// SPDX-License-Identifier: Apache-2.0
#include "emulation/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace timetrial::emulation {

namespace {

constexpr size_t kAlignment = 256;  // of cudaMalloc (CUDA programming guide, device memory accesses)
constexpr int kGarbage = 0xFF;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kGuardPages = false;
#else
constexpr bool kGuardPages = true;
#endif

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

void* DeviceMemory::allocate(size_t bytes, int device) {
  if (bytes > free_bytes()) return nullptr;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Allocation made{bytes, nullptr, 0, device};
  std::byte* data = nullptr;
  if (kGuardPages) {
    const size_t inner = rounded(rounded(bytes, kAlignment), page);
    made.mapped = inner + 2 * page;
    void* const base = mmap(nullptr, made.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    made.base = static_cast<std::byte*>(base);
    mprotect(made.base + page, inner, PROT_READ | PROT_WRITE);
    data = made.base + page + inner - rounded(bytes, kAlignment);  // its end meets the page behind
  } else {
    made.mapped = rounded(bytes, kAlignment);
    data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, made.mapped));
    if (!data) return nullptr;
    made.base = data;
  }
  std::memset(data, kGarbage, rounded(bytes, kAlignment));
  device_.emplace(data, made);
  used_ += bytes;
  if (open_ == 0) let(false);
  return data;
}

bool DeviceMemory::release(void* data) {
  const auto found = device_.find(static_cast<std::byte*>(data));
  if (found == device_.end()) return false;
  used_ -= found->second.bytes;
  if (kGuardPages) {
    munmap(found->second.base, found->second.mapped);
  } else {
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(data, found->second.mapped);
#endif
    std::free(data);
  }
  device_.erase(found);
  return true;
}

void* DeviceMemory::allocate_host(size_t bytes, int device) {
  const size_t size = rounded(bytes, kAlignment);
  void* const data = std::aligned_alloc(kAlignment, size);
  if (!data) return nullptr;
  std::memset(data, kGarbage, size);
  host_.emplace(static_cast<std::byte*>(data), Allocation{bytes, static_cast<std::byte*>(data), size, device});
  return data;
}

bool DeviceMemory::release_host(void* data) {
  const auto found = host_.find(static_cast<std::byte*>(data));
  if (found == host_.end()) return false;
  std::free(data);
  host_.erase(found);
  return true;
}

const std::pair<const std::byte* const, DeviceMemory::Allocation>* DeviceMemory::find(
    const std::map<const std::byte*, Allocation>& in, const void* data) const {
  auto after = in.upper_bound(static_cast<const std::byte*>(data));
  if (after == in.begin()) return nullptr;
  --after;
  return static_cast<const std::byte*>(data) < after->first + after->second.bytes ? &*after : nullptr;
}

MemoryKind DeviceMemory::kind_of(const void* data) const {
  if (find(device_, data)) return MemoryKind::device;
  return find(host_, data) ? MemoryKind::page_locked : MemoryKind::pageable;
}

int DeviceMemory::device_of(const void* data) const {
  for (const auto* in : {&device_, &host_})
    if (const auto* found = find(*in, data)) return found->second.device;
  return -1;
}

bool DeviceMemory::holds(const void* data, size_t bytes) const {
  for (const auto* in : {&device_, &host_})
    if (const auto* found = find(*in, data))
      return static_cast<const std::byte*>(data) + bytes <= found->first + found->second.bytes;
  return true;
}

void DeviceMemory::let([[maybe_unused]] bool allowed) const {
  for (const auto& [data, allocation] : device_) {
    if (kGuardPages) {
      const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
      mprotect(allocation.base + page, allocation.mapped - 2 * page, allowed ? PROT_READ | PROT_WRITE : PROT_NONE);
    }
#if defined(__SANITIZE_ADDRESS__)
    if (allowed)
      ASAN_UNPOISON_MEMORY_REGION(data, allocation.bytes);
    else
      ASAN_POISON_MEMORY_REGION(data, allocation.mapped);
#endif
  }
}

DeviceMemory::Open::Open(DeviceMemory& memory) : memory_(memory) {
  if (memory_.open_++ == 0) memory_.let(true);
}

DeviceMemory::Open::~Open() {
  if (--memory_.open_ == 0) memory_.let(false);
}

}  // namespace timetrial::emulation
