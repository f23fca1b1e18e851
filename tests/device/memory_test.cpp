// Buffers, arenas, tensor views and host copies.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "timetrial/base/build.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial {
namespace {

TEST(Arena, ScopesGiveBackAndTheHighWaterStays) {
  Arena arena("test", {}, 1024);
  {
    Arena::Scope scope(arena);
    arena.allocate(300);
    EXPECT_EQ(arena.used(), 512U);
    EXPECT_THROW(arena.allocate(600), Error);
  }
  EXPECT_EQ(arena.used(), 0U);
  EXPECT_EQ(arena.high_water(), 512U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.allocate(1)) % kArenaAlignment, 0U);
}

TEST(Buffer, StartsAtZeroAndMoves) {
  Buffer a({}, 64);
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(a.data()[i], std::byte{0});
  std::byte* const data = a.data();
  Buffer b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(Buffer({}, 0).data(), nullptr);
}

TEST(Tensor, ViewsAreChecked) {
  const OwnedTensor owned(DType::f32, {4, 3});
  const Tensor t = owned;
  from_host(t, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {});
  EXPECT_EQ(t.rows(1, 3).data<float>()[0], 3.0F);
  EXPECT_EQ(t.rows(1, 3).shape(), (Shape{2, 3}));
  EXPECT_EQ(t.reshape({2, 6}).dim(1), 6);
  EXPECT_THROW(t.reshape({5, 2}), Error);
  EXPECT_THROW(t.rows(3, 5), Error);
  EXPECT_THROW(t.data<double>(), Error);
  EXPECT_THROW(from_host(t, {1, 2}, {}), Error);
}

TEST(Bfloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_float(to_bfloat16(1.0F)), 1.0F);
  EXPECT_EQ(to_bfloat16(1.0F + 0x1p-8F).bits, to_bfloat16(1.0F).bits);       // a tie goes to the even neighbour
  EXPECT_EQ(to_float(to_bfloat16(1.0F + 3 * 0x1p-8F)), 1.0F + 4 * 0x1p-8F);  // and here up
  EXPECT_EQ(to_float(to_bfloat16(-std::numeric_limits<float>::infinity())), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(HostCopies, ConvertFloatingTypes) {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const OwnedTensor t(dtype, {3});
    from_host(t, {1.5, -2, 0.25}, {});
    EXPECT_EQ(to_host(t, {}), (std::vector<double>{1.5, -2, 0.25})) << name_of(dtype);
  }
  const OwnedTensor ids(DType::i32, {2});
  from_host_i32(ids, {7, -1}, {});
  EXPECT_EQ(to_host_i32(ids, {}), (std::vector<int32_t>{7, -1}));
  EXPECT_THROW(to_host(ids, {}), Error);
}

TEST(Device, CudaInACpuBuildIsAClearError) {
  if (build::has_cuda) GTEST_SKIP() << "this build has CUDA";
  EXPECT_EQ(device_count(DeviceKind::cuda), 0);
  EXPECT_THROW(Stream({.kind = DeviceKind::cuda}), UserError);
  EXPECT_THROW(Buffer({.kind = DeviceKind::cuda}, 8), UserError);
}

}  // namespace
}  // namespace timetrial
