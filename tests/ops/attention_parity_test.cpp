// Attention against the double oracle over the shapes that blocks, windows and head groups cut differently.
// SPDX-License-Identifier: Apache-2.0
#include "ops/attention_fixture.h"

namespace timetrial::ops {
namespace {

using fixtures::Bench;

// A place, and who computes there. On the CPU there is one way.
struct Implementation {
  fixtures::Place place;
  AttentionKernels kernels;
};

void PrintTo(const Implementation& i, std::ostream* out) { fixtures::PrintTo(i.place, out); }

std::vector<Implementation> implementations() {
  std::vector<Implementation> all;
  for (const fixtures::Place place : fixtures::places()) all.push_back({place, AttentionKernels::own});
  all.push_back({{DeviceKind::cuda, DType::bf16}, AttentionKernels::best});
  return all;
}

std::string implementation_name(const ::testing::TestParamInfo<Implementation>& info) {
  const std::string place = fixtures::place_test_name({info.param.place, info.index});
  return info.param.kernels == AttentionKernels::own ? place : place + "_library";
}

class AttentionParity : public ::testing::TestWithParam<Implementation>, public fixtures::OnDevice {
 protected:
  void SetUp() override { open(GetParam().place.device); }
  DType dtype() const { return GetParam().place.dtype; }

  void expect(const AttentionCase& c) {
    SCOPED_TRACE(fmt::format("batch {} length {} heads {}/{} dim {} values {} window {} sinks {}", c.batch, c.length,
                             c.heads, c.kv_heads, c.head_dim, c.value_channels, c.window_keys, c.sinks));
    // Backward reads one and the same forward, rounded to the place's type for both: d_sinks is a sum of products with
    // `out` that cancels, so rounding `out` only on one side would be all that is seen.
    Bench exact(StreamRef{}, DType::f64, dtype());
    const AttentionTensors first = run_forward(exact, c, c.qkv_values(), c.sink_values());
    const auto out = exact.values(first.out), lse = exact.values(first.lse);
    const bool library = GetParam().kernels == AttentionKernels::best;
    const auto op_class = library ? fixtures::OpClass::product_of_rounded : fixtures::OpClass::product;
    fixtures::expect_parity(dtype(), stream(), op_class, [&](Bench& bench) {
      AttentionTensors t = run_forward(bench, c, c.qkv_values(), c.sink_values(), &libraries_);
      t.out = bench.input(c.out(), out);
      t.lse = bench.input_statistics(t.lse.shape(), lse);
      run_backward(bench, c, t, &libraries_);
    });
  }

  Libraries libraries_{AttentionSettings{.kernels = GetParam().kernels}};
};

TEST_P(AttentionParity, LengthsAndWindows) {
  for (const int64_t length : {1, 2, 7, 16, 33, 64, 65, 130})
    for (const int64_t window : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{16}, length, length + 5})
      for (const bool sinks : {false, true}) expect({2, length, 4, 2, 8, window, sinks, 11});
}

TEST_P(AttentionParity, HeadGroupsAndWidths) {
  for (const int64_t ratio : {1, 2, 8, 16})
    for (const int64_t kv_heads : {1, 3})
      for (const int64_t head_dim : {8, 16, 64}) expect({3, 37, ratio * kv_heads, kv_heads, head_dim, 9, true, 12});
}

TEST_P(AttentionParity, OddHeadWidth) { expect({2, 19, 6, 2, 5, 0, true, 13}); }

TEST_P(AttentionParity, ValueHeadsOfAnotherWidth) {
  for (const int64_t value_channels : {1, 8, 16, 40})
    for (const int64_t ratio : {1, 4}) expect({2, 37, 4, 4 / ratio, 24, 0, true, 17, 1, value_channels});
  expect({1, 300, 2, 2, 192, 0, false, 18, 1, 128});
}

TEST_P(AttentionParity, LongSequenceCutsBlocksSmaller) {
  expect({1, 700, 8, 1, 16, 0, true, 14});
  expect({1, 700, 2, 2, 16, 300, true, 15});
}

TEST_P(AttentionParity, PeakedSoftmax) { expect({2, 48, 8, 1, 16, 0, true, 16, 6}); }

// What the workloads train with, cut shorter: here the library must be the one that computes.
TEST_P(AttentionParity, ShapesOfTheWorkloads) {
  expect({1, 512, 16, 2, 64, 128, true, 19});
  expect({2, 384, 16, 2, 64, 0, true, 20});
  expect({1, 256, 16, 2, 128, 0, false, 21});
  expect({1, 256, 4, 4, 192, 0, false, 22, 1, 128});
  if (GetParam().kernels != AttentionKernels::best) return;
  ASSERT_EQ(libraries_.choices().size(), 4u);
  for (const std::string& choice : libraries_.choices()) EXPECT_NE(choice.find("cuDNN"), std::string::npos) << choice;
}

TEST_P(AttentionParity, DeterministicBackwardRepeatsItsBits) {
  Libraries libraries(AttentionSettings{.kernels = GetParam().kernels, .deterministic = true});
  const AttentionCase c = {2, 512, 8, 2, 64, 0, true, 23};
  std::vector<std::vector<double>> gradients;
  for (int run = 0; run < 3; ++run) {
    Bench bench(stream(), dtype());
    run_backward(bench, c, run_forward(bench, c, c.qkv_values(), c.sink_values(), &libraries), &libraries);
    for (size_t i = 0; i < bench.outputs().size(); ++i) {
      const auto values = bench.values(bench.outputs()[i].tensor);
      if (run == 0) gradients.push_back(values);
      EXPECT_EQ(values, gradients[i]) << bench.outputs()[i].name << " of run " << run;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Places, AttentionParity, ::testing::ValuesIn(implementations()), implementation_name);

}  // namespace
}  // namespace timetrial::ops
