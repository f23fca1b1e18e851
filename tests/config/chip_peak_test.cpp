// Peaks by the driver's names: what is in the table, what is close to it, what is not.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/chip_peak.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace timetrial {
namespace {

TEST(ChipPeak, IsThatOfTheExactName) {
  const auto sxm = dense_peak("NVIDIA H100 80GB HBM3", DType::bf16), card = dense_peak("NVIDIA H100 PCIe", DType::bf16);
  ASSERT_TRUE(sxm && card);
  EXPECT_EQ(sxm->chip, "H100 SXM");
  EXPECT_DOUBLE_EQ(sxm->flops_per_second, 989.4e12);
  EXPECT_DOUBLE_EQ(card->flops_per_second, 756e12);
  EXPECT_DOUBLE_EQ(dense_peak("NVIDIA H100 80GB HBM3", DType::f32)->flops_per_second, 66.9e12);
  EXPECT_DOUBLE_EQ(dense_peak("NVIDIA GB300", DType::bf16)->flops_per_second, 2500e12);
  EXPECT_DOUBLE_EQ(dense_peak("NVIDIA B300 SXM6 AC", DType::bf16)->flops_per_second, 2250e12);
}

TEST(ChipPeak, IsNotGuessed) {
  for (const char* name : {"", "H100", "NVIDIA H100", "NVIDIA H20", "NVIDIA H800", "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
                           "nvidia h100 pcie", "NVIDIA GB300-WS"})
    EXPECT_FALSE(dense_peak(name, DType::bf16)) << name;
  EXPECT_FALSE(dense_peak("NVIDIA H200", DType::f64));
}

// What every row must keep: no name twice, a source, rates that grow as precision falls, doubling in tensor cores.
TEST(ChipPeak, TableHoldsTogether) {
  std::ifstream file(TIMETRIAL_SOURCE_DIR "/src/config/chips.json");
  const nlohmann::json table = nlohmann::json::parse(file);
  std::set<std::string> names;
  for (const auto& chip : table.at("chips")) {
    SCOPED_TRACE(chip.at("chip"));
    EXPECT_FALSE(chip.at("source").get<std::string>().empty());
    for (const auto& name : chip.at("names")) EXPECT_TRUE(names.insert(name).second) << name;
    const auto& rates = chip.at("dense_tflops");
    const double fp32 = rates.at("fp32"), tf32 = rates.at("tf32"), bf16 = rates.at("bf16");
    EXPECT_GT(tf32, fp32);
    EXPECT_NEAR(bf16 / tf32, 2, 0.01);
    if (rates.contains("fp8")) {
      EXPECT_NEAR(rates.at("fp8").get<double>() / bf16, 2, 0.01);
    }
    if (rates.contains("nvfp4")) {
      EXPECT_GE(rates.at("nvfp4").get<double>() / bf16, 3.99);
    }
  }
}

}  // namespace
}  // namespace timetrial
