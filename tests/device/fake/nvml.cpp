// A libnvidia-ml for tests: one GPU at 0000:1b:00.0.
// SPDX-License-Identifier: Apache-2.0
#include "device/fake_nvml.h"

#include <cstdio>
#include <cstring>

extern "C" {

FakeNvml fake_nvml;

int nvmlInit_v2() {
  ++fake_nvml.started;
  return fake_nvml.init_code;
}
int nvmlShutdown() {
  ++fake_nvml.stopped;
  return 0;
}
const char* nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "Not Found"; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  *device = &fake_nvml;
  return std::strcmp(bus_id, "0000:1b:00.0") == 0 ? fake_nvml.handle_code : 6;
}
int nvmlDeviceGetName(void*, char* name, unsigned length) {
  std::snprintf(name, length, "NVIDIA H100 80GB HBM3");
  return 0;
}
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::snprintf(version, length, "580.65.06");
  return 0;
}
int nvmlDeviceGetCudaComputeCapability(void*, int* major, int* minor) {
  *major = 9;
  *minor = 0;
  return 0;
}
struct Memory {
  unsigned long long total, free, used;
};
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {85520809984ULL, 85000000000ULL, 520809984ULL};
  return 0;
}
// Graphics, SM, memory.
int nvmlDeviceGetClockInfo(void*, int which, unsigned* clock) {
  *clock = which == 1 ? fake_nvml.sm_clock : which == 2 ? 2619 : 0;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(void*, int which, unsigned* clock) {
  *clock = which == 1 ? 1980 : which == 2 ? 2619 : 0;
  return 0;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = fake_nvml.power_milliwatts;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* milliwatts) {
  *milliwatts = 700000;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int sensor, unsigned* degrees) {
  *degrees = 61;
  return sensor == 0 ? 0 : 2;
}
int nvmlDeviceGetEccMode(void*, int* now, int* pending) {
  *now = *pending = 1;
  return fake_nvml.ecc_code;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* reasons) {
  *reasons = fake_nvml.reasons;
  return 0;
}
// As the driver's: without room it counts and says so.
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, void* processes) {
  *count = fake_nvml.processes;
  return fake_nvml.processes > 0 && !processes ? 7 : 0;
}
}
