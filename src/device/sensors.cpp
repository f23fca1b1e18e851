// NVML through dlopen: no package that a build may need has its header, and sixteen of its functions are enough here.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/device/sensors.h"

#include <dlfcn.h>

#include <array>
#include <utility>

#include "device/cuda/runtime.h"
#include "timetrial/base/build.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

// Prototypes and numbers as in NVIDIA's NVML API reference, "Device queries" and "Clocks event reasons"; held against
// nvml.h of CUDA 12.9.
using Handle = void*;
constexpr int kSuccess = 0, kInsufficientSize = 7;
constexpr int kClockSm = 1, kClockMemory = 2;
constexpr int kTemperatureOfTheDie = 0;

struct Memory {
  unsigned long long total, free, used;
};
struct Process {
  unsigned int pid;
  unsigned long long used_memory;
  unsigned int gpu_instance, compute_instance;
};

// Bits of nvmlDeviceGetCurrentClocksThrottleReasons that make a run slower than its clocks allow. Idleness (0x1) and
// display settings (0x100) are none.
constexpr std::pair<unsigned long long, const char*> kReasons[] = {
    {0x02, "clocks set by an administrator"},
    {0x04, "power cap"},
    {0x08, "slowdown (hardware)"},
    {0x10, "sync boost"},
    {0x20, "thermal slowdown (software)"},
    {0x40, "thermal slowdown (hardware)"},
    {0x80, "power brake (hardware)"},
};

}  // namespace

struct DeviceSensors::Library {
  void* file = nullptr;
  bool started = false;
  Handle device = nullptr;

  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*handle)(const char*, Handle*) = nullptr;
  int (*name)(Handle, char*, unsigned) = nullptr;
  int (*driver)(char*, unsigned) = nullptr;
  int (*capability)(Handle, int*, int*) = nullptr;
  int (*memory)(Handle, Memory*) = nullptr;
  int (*clock)(Handle, int, unsigned*) = nullptr;
  int (*max_clock)(Handle, int, unsigned*) = nullptr;
  int (*power)(Handle, unsigned*) = nullptr;
  int (*power_limit)(Handle, unsigned*) = nullptr;
  int (*temperature)(Handle, int, unsigned*) = nullptr;
  int (*ecc)(Handle, int*, int*) = nullptr;
  int (*reasons)(Handle, unsigned long long*) = nullptr;
  int (*processes)(Handle, unsigned*, Process*) = nullptr;

  ~Library() {
    if (started) shutdown();
    if (file) dlclose(file);
  }

  template <class F>
  bool find(F& function, const char* symbol) {
    function = reinterpret_cast<F>(dlsym(file, symbol));
    return function != nullptr;
  }

  // The first function that the library lacks; null when it has all.
  const char* find_all() {
    const auto missing = [&](auto& function, const char* symbol) { return find(function, symbol) ? nullptr : symbol; };
    for (const char* symbol :
         {missing(init, "nvmlInit_v2"), missing(shutdown, "nvmlShutdown"), missing(error_string, "nvmlErrorString"),
          missing(handle, "nvmlDeviceGetHandleByPciBusId_v2"), missing(name, "nvmlDeviceGetName"),
          missing(driver, "nvmlSystemGetDriverVersion"), missing(capability, "nvmlDeviceGetCudaComputeCapability"),
          missing(memory, "nvmlDeviceGetMemoryInfo"), missing(clock, "nvmlDeviceGetClockInfo"),
          missing(max_clock, "nvmlDeviceGetMaxClockInfo"), missing(power, "nvmlDeviceGetPowerUsage"),
          missing(power_limit, "nvmlDeviceGetEnforcedPowerLimit"), missing(temperature, "nvmlDeviceGetTemperature"),
          missing(ecc, "nvmlDeviceGetEccMode"), missing(reasons, "nvmlDeviceGetCurrentClocksThrottleReasons"),
          missing(processes, "nvmlDeviceGetComputeRunningProcesses_v3")})
      if (symbol) return symbol;
    return nullptr;
  }

  std::optional<int> number(int (*query)(Handle, int, unsigned*), int which) const {
    unsigned value = 0;
    if (query(device, which, &value) != kSuccess) return std::nullopt;
    return static_cast<int>(value);
  }

  // NVML counts milliwatts.
  std::optional<double> watts(int (*query)(Handle, unsigned*)) const {
    unsigned value = 0;
    if (query(device, &value) != kSuccess) return std::nullopt;
    return value / 1000.0;
  }
};

DeviceSensors::DeviceSensors(std::unique_ptr<Library> library) : library_(std::move(library)) {}
DeviceSensors::~DeviceSensors() = default;

DeviceSensors::Opened DeviceSensors::open(const std::string& bus_id, const std::string& path) {
  const auto no = [](std::string why) { return Opened{nullptr, std::move(why)}; };
  auto library = std::make_unique<Library>();
  library->file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library->file) return no(fmt::format("{} cannot be loaded: clocks, power and temperature are not known", path));
  if (const char* symbol = library->find_all())
    return no(fmt::format("{} has no {}: its driver is too old", path, symbol));
  if (const int code = library->init(); code != kSuccess)
    return no(fmt::format("{}: {}", path, library->error_string(code)));
  library->started = true;
  if (const int code = library->handle(bus_id.c_str(), &library->device); code != kSuccess)
    return no(fmt::format("{}: GPU {}: {}", path, bus_id, library->error_string(code)));
  return {std::unique_ptr<DeviceSensors>(new DeviceSensors(std::move(library))), ""};
}

DeviceIdentity DeviceSensors::identity() const {
  const Library& nvml = *library_;
  DeviceIdentity facts;
  std::array<char, 96> text{};  // NVML's own longest device name
  if (nvml.name(nvml.device, text.data(), text.size()) == kSuccess) facts.name = text.data();
  if (nvml.driver(text.data(), text.size()) == kSuccess) facts.driver = text.data();
  if (nvml.capability(nvml.device, &facts.major, &facts.minor) != kSuccess) facts.major = facts.minor = 0;
  Memory memory{};
  if (nvml.memory(nvml.device, &memory) == kSuccess) facts.memory_bytes = memory.total;
  int now = 0, pending = 0;
  if (nvml.ecc(nvml.device, &now, &pending) == kSuccess) facts.ecc = now != 0;
  facts.max_sm_clock = nvml.number(nvml.max_clock, kClockSm);
  facts.max_memory_clock = nvml.number(nvml.max_clock, kClockMemory);
  facts.power_limit = nvml.watts(nvml.power_limit);
  return facts;
}

DeviceState DeviceSensors::state() const {
  const Library& nvml = *library_;
  DeviceState state;
  state.sm_clock = nvml.number(nvml.clock, kClockSm);
  state.memory_clock = nvml.number(nvml.clock, kClockMemory);
  state.temperature = nvml.number(nvml.temperature, kTemperatureOfTheDie);
  state.power = nvml.watts(nvml.power);
  unsigned long long bits = 0;
  if (nvml.reasons(nvml.device, &bits) == kSuccess)
    for (const auto& [bit, name] : kReasons)
      if (bits & bit) state.throttled_by.emplace_back(name);
  // Without room NVML only counts.
  unsigned count = 0;
  const int code = nvml.processes(nvml.device, &count, nullptr);
  if (code == kSuccess || code == kInsufficientSize) state.processes = static_cast<int>(count);
  return state;
}

bool is_emulated(Device device) {
  if constexpr (build::has_cuda) return device.kind == DeviceKind::cuda && cuda::is_emulated();
  return false;
}

DeviceIdentity cuda_identity(Device device) {
  if constexpr (build::has_cuda) {
    if (device.kind == DeviceKind::cuda) {
      const cuda::Properties p = cuda::properties(device.index);
      return {.name = p.name,
              .driver = {},
              .major = p.major,
              .minor = p.minor,
              .memory_bytes = p.memory_bytes,
              .ecc = p.ecc,
              .max_sm_clock = {},
              .max_memory_clock = {},
              .power_limit = {}};
    }
  }
  throw Error(fmt::format("{} has no CUDA properties", device.text()));
}

std::string cuda_runtime_version() {
  if constexpr (build::has_cuda) {
    const int version = cuda::runtime_version();
    return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
  }
  return "";
}

DeviceRoom room_on(Device device) {
  if constexpr (build::has_cuda) {
    if (device.kind == DeviceKind::cuda) {
      DeviceRoom room;
      cuda::memory_info(device.index, room.free, room.total);
      return room;
    }
  }
  throw Error(fmt::format("{} is no CUDA device", device.text()));
}

std::string pci_bus_id(Device device) {
  if constexpr (build::has_cuda) {
    if (device.kind == DeviceKind::cuda) return cuda::pci_bus_id(device.index);
  }
  throw Error(fmt::format("{} is on no PCI bus", device.text()));
}

}  // namespace timetrial
