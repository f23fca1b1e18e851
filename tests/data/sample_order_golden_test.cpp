// Sample order and blends against what numpy computes from the same text (tests/reference/sample_order.py).
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/token_files.h"
#include "timetrial/base/json.h"
#include "timetrial/data/blend.h"
#include "timetrial/data/sample_order.h"

namespace timetrial {
namespace {

Json golden() { return read_json_file(TIMETRIAL_SOURCE_DIR "/tests/data/golden/sample_order.json"); }

TEST(SampleOrderGolden, EveryItemIsNumpys) {
  int separate = 0, mixed = 0;
  const Json all = golden();
  for (const Json& want : all["orders"]) {
    const std::vector<int64_t> begins = testing::begins_of(want["lengths"].get<std::vector<int>>());
    const SampleOrder order({.document_begins = begins,
                             .sequence_length = want["sequence_length"],
                             .samples = want["samples"],
                             .seed = want["seed"].get<uint32_t>()});
    EXPECT_EQ(order.epochs(), want["epochs"]);
    EXPECT_EQ(order.separate_last_epoch(), want["separate_last_epoch"]);
    if (order.epochs() > 1) ++(order.separate_last_epoch() ? separate : mixed);
    ASSERT_EQ(static_cast<size_t>(order.size()), want["items"].size());
    std::vector<TokenPiece> pieces;
    for (int64_t item = 0; item < order.size(); ++item) {
      order.pieces(item, pieces);
      std::vector<int64_t> positions;
      for (const TokenPiece& piece : pieces)
        for (int64_t i = 0; i < piece.count; ++i) positions.push_back(piece.first + i);
      EXPECT_EQ(positions, want["items"][static_cast<size_t>(item)].get<std::vector<int64_t>>()) << item;
    }
  }
  EXPECT_GE(separate, 1);
  EXPECT_GE(mixed, 1);
}

TEST(SampleOrderGolden, EveryBlendIsNumpys) {
  const Json all = golden();
  for (const Json& want : all["blends"]) {
    const Blend blend(want["weights"].get<std::vector<double>>(), want["samples"]);
    for (size_t d = 0; d < want["requested"].size(); ++d) EXPECT_EQ(blend.requested(d), want["requested"][d]) << d;
    for (int64_t i = 0; i < blend.size(); ++i) {
      const Json& item = want["items"][static_cast<size_t>(i)];
      EXPECT_EQ(blend.item(i), (BlendItem{item[0].get<int32_t>(), item[1].get<int64_t>()})) << i;
    }
  }
}

}  // namespace
}  // namespace timetrial
