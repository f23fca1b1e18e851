// MFU against numbers worked out by hand.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/utilization.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "timetrial/config/precision.h"

namespace timetrial {
namespace {

RunConfig on(DeviceKind kind, DType dtype) {
  RunConfig config;
  config.device.kind = kind;
  config.device.dtype = dtype;
  return config;
}

TEST(Utilization, IsModelFlopsOverTheDensePeak) {
  // 2e10 FLOP per token x 15,000 tokens/s = 300 TFLOP/s of 989.4.
  const Utilization u = utilization_of(on(DeviceKind::cuda, DType::bf16), 2e10, "NVIDIA H100 80GB HBM3");
  EXPECT_NEAR(u.mfu(15000).value(), 300 / 989.4, 1e-12);
  EXPECT_EQ(u.text(15000), "MFU 30.3 %: 300.0 of 989.4 TFLOP/s dense bf16 (H100 SXM), model FLOPs per device");
  const Json json = u.json(15000);
  EXPECT_DOUBLE_EQ(json.at("model_flops_per_second").get<double>(), 3e14);
  EXPECT_DOUBLE_EQ(json.at("peak_flops_per_second").get<double>(), 989.4e12);
  EXPECT_EQ(json.at("chip"), "H100 SXM");
}

TEST(Utilization, SharesTheWorkAmongRanks) {
  RunConfig config = on(DeviceKind::cuda, DType::bf16);
  config.parallel.data = 4;
  EXPECT_NEAR(utilization_of(config, 2e10, "NVIDIA H100 80GB HBM3").mfu(60000).value(), 300 / 989.4, 1e-12);
}

TEST(Utilization, OfAnUnknownChipIsUnknown) {
  for (const Utilization& u : {utilization_of(on(DeviceKind::cuda, DType::bf16), 2e10, "NVIDIA Z999"),
                               utilization_of(on(DeviceKind::cpu, DType::f32), 2e10, "Some processor")}) {
    EXPECT_FALSE(u.mfu(1000));
    EXPECT_TRUE(u.json(1000).at("mfu").is_null());
    EXPECT_EQ(u.text(1000).find("MFU unknown: 20.0 TFLOP/s"), 0U) << u.text(1000);
    EXPECT_NE(u.text(1000).find(u.device), std::string::npos);
  }
}

TEST(Utilization, AboveThePeakIsCalledImpossible) {
  const Utilization u = utilization_of(on(DeviceKind::cuda, DType::bf16), 2e10, "NVIDIA H100 PCIe");
  EXPECT_EQ(u.text(40000).find("MFU impossible: 800.0 of 756.0"), 0U) << u.text(40000);
}

TEST(LowestPrecision, FollowsStorageAndWhatIsSent) {
  RunConfig config = on(DeviceKind::cpu, DType::f32);
  EXPECT_EQ(lowest_precision(config).linear, DType::f32);
  EXPECT_EQ(lowest_precision(config).communication, DType::f32);
  config.train.gradient_storage = StateStorage::bf16;
  EXPECT_EQ(lowest_precision(config).communication, DType::bf16);
  EXPECT_EQ(lowest_precision(config).attention, DType::f32);
  EXPECT_EQ(lowest_precision(on(DeviceKind::cuda, DType::bf16)).communication, DType::bf16);
  EXPECT_EQ(lowest_precision(on(DeviceKind::cuda, DType::bf16)).attention, DType::bf16);
}

}  // namespace
}  // namespace timetrial
