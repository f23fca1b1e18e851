// cuDNN's graphs of attention as far as they go without a GPU: sound, and with kernels for an H100 and a B200.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/fused_attention.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "fixtures/devices.h"

#ifndef TIMETRIAL_DRIVER_STUB
#define TIMETRIAL_DRIVER_STUB ""
#endif

namespace timetrial::ops::cuda {
namespace {

// Device properties in cuDNN's JSON form. What it needs of them was found by its own complaints; the numbers are the
// CUDA programming guide's (technical specifications) and the data sheets'.
std::string properties(int compute_capability, int multiprocessors, const std::string& name) {
  return fmt::format(
      R"({{"deviceId":0,"cudaDeviceId":0,"deviceVer":{},"driverVer":13000,"multiProcessorCount":{},"deviceName":"{}",)"
      R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"warpSize":32,)"
      R"("maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,"reservedSharedMemoryPerBlock":1024,)"
      R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"pciDeviceId":0,)"
      R"("isTccDriver":0,"supportCoopLaunch":1,"smClockRateKHz":1830000,"memClockRateKHz":2619000,)"
      R"("l2CacheSize":52428800,"totalGlobalMem":85000000000}})",
      compute_capability * 10, multiprocessors, name);
}
struct DescribedGpu {
  std::string properties;
  int compute_capability;
};
DescribedGpu h100() { return {properties(90, 132, "NVIDIA H100 80GB HBM3"), 90}; }
DescribedGpu b200() { return {properties(100, 148, "NVIDIA B200"), 100}; }

class FusedAttentionGraph : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!build::has_cuda) GTEST_SKIP() << "built without CUDA";
    // cuDNN wants the driver library to be there before it names a kernel, though it loads none here.
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(TIMETRIAL_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL))
      GTEST_SKIP() << "neither a driver library nor the toolkit's stub of it";
  }
};

// cuDNN's complaint about one direction on a described GPU; empty when there is none.
std::string complaint(const AttentionShape& shape, AttentionDirection direction, const DescribedGpu& gpu,
                      bool deterministic = false) {
  if constexpr (build::has_cuda) {
    return FusedGraph(shape, {direction, deterministic, gpu.compute_capability}).check(gpu.properties).value_or("");
  } else {
    return "built without CUDA";
  }
}

void expect_supported(const AttentionShape& shape, const DescribedGpu& gpu) {
  SCOPED_TRACE(fmt::format("{} on {}", text_of(shape), gpu.compute_capability));
  EXPECT_EQ(complaint(shape, AttentionDirection::forward, gpu), "");
  EXPECT_EQ(complaint(shape, AttentionDirection::backward, gpu), "");
  EXPECT_EQ(complaint(shape, AttentionDirection::backward, gpu, true), "") << "deterministic";
}

AttentionShape gpt_oss(int64_t window) {
  return {.batch = 2,
          .length = 2048,
          .heads = 64,
          .kv_heads = 8,
          .head_dim = 64,
          .window_keys = window,
          .scale = 0.125,
          .sinks = true};
}

TEST_F(FusedAttentionGraph, GptOss) {
  for (const int64_t window : {0, 128, 1, 4096})
    for (const DescribedGpu& gpu : {h100(), b200()}) expect_supported(gpt_oss(window), gpu);
}

TEST_F(FusedAttentionGraph, WithoutSinksAndOddLengths) {
  AttentionShape shape = gpt_oss(0);
  shape.sinks = false;
  for (const int64_t length : {8192, 200, 130}) {
    shape.length = length;
    for (const DescribedGpu& gpu : {h100(), b200()}) expect_supported(shape, gpu);
  }
}

TEST_F(FusedAttentionGraph, WideHeadsAndLatentAttention) {
  const AttentionShape llama{
      .batch = 1, .length = 8192, .heads = 128, .kv_heads = 8, .head_dim = 128, .window_keys = 0, .scale = 0.09};
  const AttentionShape latent{.batch = 1,
                              .length = 4096,
                              .heads = 128,
                              .kv_heads = 128,
                              .head_dim = 192,
                              .window_keys = 0,
                              .scale = 0.1,
                              .value_channels = 128};
  for (const AttentionShape& shape : {llama, latent})
    for (const DescribedGpu& gpu : {h100(), b200()}) expect_supported(shape, gpu);
}

TEST_F(FusedAttentionGraph, SaysWhyItCannot) {
  AttentionShape shape = gpt_oss(0);
  shape.head_dim = 60;
  EXPECT_NE(complaint(shape, AttentionDirection::forward, h100()).find("multiple of 8"), std::string::npos);
  shape.head_dim = 264;
  EXPECT_NE(complaint(shape, AttentionDirection::backward, h100()).find("256"), std::string::npos);
  EXPECT_NE(complaint(gpt_oss(0), AttentionDirection::forward, {"{}", 90}).find("DeviceProperties"), std::string::npos);
}

}  // namespace
}  // namespace timetrial::ops::cuda
