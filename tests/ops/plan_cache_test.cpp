// Keys of products and the cache of plans: what shares a plan and what must not. Needs no GPU.
// SPDX-License-Identifier: Apache-2.0
#include "ops/plan_cache.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "ops/matmul_key.h"
#include "timetrial/base/error.h"
#include "timetrial/ops/libraries.h"

namespace timetrial::ops {
namespace {

TEST(PlanCache, MakesOncePerKey) {
  PlanCache<int, std::string> cache;
  int made = 0;
  const auto make = [&] { return std::to_string(++made); };
  std::string& first = cache.get(7, make);
  EXPECT_EQ(cache.get(8, make), "2");
  EXPECT_EQ(&cache.get(7, make), &first);
  EXPECT_EQ(made, 2);
  EXPECT_EQ(cache.size(), 2u);
}

TEST(PlanCache, KeepsNothingOfAMakerThatThrows) {
  PlanCache<int, int> cache;
  EXPECT_THROW(cache.get(1, []() -> int { throw Error("no"); }), Error);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.get(1, [] { return 5; }), 5);
}

TEST(Libraries, KeepOneStatePerTypeAndEachNoteOnce) {
  Libraries libraries;
  libraries.state<int>() = 3;
  libraries.state<double>() = 0.5;
  EXPECT_EQ(libraries.state<int>(), 3);
  EXPECT_EQ(libraries.state<double>(), 0.5);
  libraries.note("b");
  libraries.note("a");
  libraries.note("b");
  EXPECT_EQ(libraries.choices(), (std::vector<std::string>{"b", "a"}));
}

// Tensors without memory behind them: a key reads addresses and shapes only.
Tensor at(uintptr_t address, DType dtype, Shape shape, Device device = {DeviceKind::cuda, 0}) {
  return {reinterpret_cast<void*>(address), dtype, shape, device};
}

Matmul weight_gradient() {
  return {.c = at(0x10000, DType::f32, {64, 32}),
          .a = at(0x20000, DType::bf16, {128, 64}),
          .b = at(0x30000, DType::bf16, {128, 32}),
          .transpose_a = true,
          .accumulate = true};
}

TEST(MatmulKey, IgnoresAddressesOfEqualAlignment) {
  const Matmul a = weight_gradient();
  Matmul b = a;
  b.a = at(0x90000, DType::bf16, {128, 64});
  b.c = at(0x70000, DType::f32, {64, 32});
  EXPECT_EQ(key_of(b), key_of(a));
}

TEST(MatmulKey, TellsApartWhatDecidesAKernel) {
  const Matmul base = weight_gradient();
  std::set<MatmulKey> keys{key_of(base)};
  size_t changes = 0;
  const auto differs = [&](const char* what, auto change) {
    Matmul changed = base;
    change(changed);
    keys.insert(key_of(changed));
    EXPECT_EQ(keys.size(), ++changes + 1) << what;
  };
  differs("columns", [](Matmul& x) {
    x.c = at(0x10000, DType::f32, {64, 48});
    x.b = at(0x30000, DType::bf16, {128, 48});
  });
  differs("terms", [](Matmul& x) {
    x.a = at(0x20000, DType::bf16, {256, 64});
    x.b = at(0x30000, DType::bf16, {256, 32});
  });
  differs("type of c", [](Matmul& x) { x.c = at(0x10000, DType::bf16, {64, 32}); });
  differs("type of a", [](Matmul& x) { x.a = at(0x20000, DType::f32, {128, 64}); });
  differs("transpose_a", [](Matmul& x) { x.transpose_a = false; });
  differs("transpose_b", [](Matmul& x) { x.transpose_b = true; });
  differs("accumulate", [](Matmul& x) { x.accumulate = false; });
  differs("bias", [](Matmul& x) { x.bias = at(0x40000, DType::f32, {32}); });
  differs("alignment of bias", [](Matmul& x) { x.bias = at(0x40004, DType::f32, {32}); });
  differs("d_bias", [](Matmul& x) { x.d_bias = at(0x40000, DType::f32, {64}); });
  differs("type of d_bias", [](Matmul& x) { x.d_bias = at(0x40000, DType::bf16, {64}); });
  differs("alignment of a", [](Matmul& x) { x.a = at(0x20008, DType::bf16, {128, 64}); });
  differs("alignment of b", [](Matmul& x) { x.b = at(0x30020, DType::bf16, {128, 32}); });
  differs("alignment of c", [](Matmul& x) { x.c = at(0x10004, DType::f32, {64, 32}); });
  differs("workspace", [](Matmul& x) { x.workspace = at(0x50000, DType::i32, {1024}); });
  differs("device", [](Matmul& x) { x.c = at(0x10000, DType::f32, {64, 32}, {DeviceKind::cuda, 1}); });
}

TEST(MatmulKey, AlignmentIsAPowerOfTwoUpTo256) {
  EXPECT_EQ(alignment_of(at(0x10000, DType::f32, {1})), 256u);
  EXPECT_EQ(alignment_of(at(0x10010, DType::f32, {1})), 16u);
  EXPECT_EQ(alignment_of(at(0x10002, DType::bf16, {1})), 2u);
  EXPECT_EQ(alignment_of(Tensor()), 256u);
}

}  // namespace
}  // namespace timetrial::ops
