// The sample order against a naive second implementation that builds the whole token stream.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/sample_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "data/token_files.h"
#include "timetrial/base/error.h"

namespace timetrial {
namespace {

using testing::begins_of;

// Written from workloads.md section 10 alone, with its own generator and nothing shared with the library.
class NaiveOrder {
 public:
  NaiveOrder(const std::vector<int>& lengths, int64_t s, int64_t wanted, uint32_t seed) {
    seed_generator(seed);
    int64_t tpe = 0;
    for (const int length : lengths) tpe += length;
    epochs = 1;
    while (wanted > 0 && epochs * tpe < wanted * s + 1) ++epochs;
    const int64_t all = (epochs * tpe - 1) / s;
    int64_t head = all;
    if (epochs > 1) {
      const int64_t a = ((epochs - 1) * tpe - 1) / s;
      separate = wanted - a < static_cast<int64_t>(0.80 * static_cast<double>((tpe - 1) / s));
      if (separate) head = a;
    }
    std::vector<int64_t> documents;
    for (int64_t e = 0; e < epochs; ++e) {
      if (separate && e == epochs - 1) shuffle(documents, 0);
      for (size_t d = 0; d < lengths.size(); ++d) documents.push_back(static_cast<int64_t>(d));
    }
    shuffle(documents, separate ? documents.size() - lengths.size() : 0);
    const std::vector<int64_t> begins = begins_of(lengths);
    std::vector<int64_t> stream;
    for (const int64_t d : documents) {
      for (int64_t t = begins[static_cast<size_t>(d)]; t < begins[static_cast<size_t>(d) + 1]; ++t) stream.push_back(t);
    }
    std::vector<int64_t> order;
    for (int64_t i = 0; i < head; ++i) order.push_back(i);
    shuffle(order, 0);
    for (int64_t i = head; i < all; ++i) order.push_back(i);
    shuffle(order, static_cast<size_t>(head));
    for (const int64_t i : order) items.emplace_back(stream.begin() + i * s, stream.begin() + i * s + s + 1);
  }

  int64_t epochs = 0;
  bool separate = false;
  std::vector<std::vector<int64_t>> items;  // token positions

 private:
  void seed_generator(uint32_t seed) {
    key_[0] = seed;
    for (uint32_t i = 1; i < 624; ++i) key_[i] = 1812433253u * (key_[i - 1] ^ (key_[i - 1] >> 30)) + i;
  }
  uint32_t word() {
    if (at_ == 624) {
      for (size_t i = 0; i < 624; ++i) {
        const uint32_t y = (key_[i] & 0x80000000u) | (key_[(i + 1) % 624] & 0x7fffffffu);
        key_[i] = key_[(i + 397) % 624] ^ (y >> 1) ^ ((y & 1) ? 0x9908b0dfu : 0u);
      }
      at_ = 0;
    }
    uint32_t y = key_[at_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
  }
  void shuffle(std::vector<int64_t>& values, size_t from) {
    if (values.size() - from < 2) return;
    for (size_t i = values.size() - from - 1; i > 0; --i) {
      size_t mask = 1;
      while (mask < i) mask = 2 * mask + 1;
      size_t j = word() & mask;
      while (j > i) j = word() & mask;
      std::swap(values[from + i], values[from + j]);
    }
  }
  uint32_t key_[624];
  size_t at_ = 624;
};

std::vector<int64_t> positions(const SampleOrder& order, int64_t item) {
  std::vector<TokenPiece> pieces;
  order.pieces(item, pieces);
  std::vector<int64_t> all;
  for (const TokenPiece& piece : pieces) {
    EXPECT_GT(piece.count, 0);
    for (int64_t i = 0; i < piece.count; ++i) all.push_back(piece.first + i);
  }
  return all;
}

void compare(const std::vector<int>& lengths, int64_t s, int64_t wanted, uint32_t seed) {
  SCOPED_TRACE(fmt::format("{} documents, sequence {}, {} samples, seed {}", lengths.size(), s, wanted, seed));
  const NaiveOrder naive(lengths, s, wanted, seed);
  const std::vector<int64_t> begins = begins_of(lengths);
  const SampleOrder order({.document_begins = begins, .sequence_length = s, .samples = wanted, .seed = seed});
  ASSERT_EQ(order.epochs(), naive.epochs);
  ASSERT_EQ(order.separate_last_epoch(), naive.separate);
  ASSERT_EQ(order.size(), static_cast<int64_t>(naive.items.size()));
  for (int64_t i = 0; i < order.size(); ++i)
    ASSERT_EQ(positions(order, i), naive.items[static_cast<size_t>(i)]) << "item " << i;
}

TEST(SampleOrder, EqualsNaiveOverRandomCases) {
  std::mt19937 random(20240607);
  int one = 0, several = 0, separate = 0;
  for (int round = 0; round < 400; ++round) {
    const int documents = 1 + static_cast<int>(random() % 40);
    std::vector<int> lengths(static_cast<size_t>(documents));
    for (int& length : lengths) length = static_cast<int>(random() % 3 == 0 ? random() % 3 : random() % 50);
    lengths[random() % lengths.size()] += 1;  // at least one token
    const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), 0);
    const int64_t s = 1 + static_cast<int64_t>(random() % 30);
    const int64_t wanted = static_cast<int64_t>(random() % static_cast<uint32_t>(4 * tokens / s + 2));
    compare(lengths, s, wanted, random());
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    const NaiveOrder naive(lengths, s, wanted, 0);
    one += naive.epochs == 1;
    several += naive.epochs > 1 && !naive.separate;
    separate += naive.separate;
  }
  // The comparison is worth something only when it went through every branch.
  EXPECT_GT(one, 30);
  EXPECT_GT(several, 30);
  EXPECT_GT(separate, 30);
}

// 100 tokens, sequence 10: 9 samples an epoch, 7 = int(0.80 * 9). Two epochs hold 19 samples, 9 of them before the
// last.
TEST(SampleOrder, SeparatesTheLastEpochBelowFourFifths) {
  const std::vector<int64_t> begins = begins_of(std::vector<int>(10, 10));
  for (const auto& [wanted, separate] : {std::pair{15, true}, {16, false}, {9, false}, {10, true}}) {
    const SampleOrder order({.document_begins = begins, .sequence_length = 10, .samples = wanted, .seed = 1});
    EXPECT_EQ(order.epochs(), wanted == 9 ? 1 : 2) << wanted;
    EXPECT_EQ(order.separate_last_epoch(), separate) << wanted;
    EXPECT_EQ(order.size(), wanted == 9 ? 9 : 19) << wanted;
  }
}

TEST(SampleOrder, OneTokenMoreThanAnEpochStartsAnother) {
  const std::vector<int64_t> begins = begins_of({50, 51});
  const auto epochs = [&](int64_t samples) {
    return SampleOrder({.document_begins = begins, .sequence_length = 10, .samples = samples, .seed = 1}).epochs();
  };
  EXPECT_EQ(epochs(10), 1);  // 10 x 10 + 1 = 101 tokens
  EXPECT_EQ(epochs(11), 2);
}

TEST(SampleOrder, UnshuffledIsFileOrderInOnePiece) {
  const std::vector<int64_t> begins = begins_of({3, 0, 4, 5, 0, 9});
  const SampleOrder order({.document_begins = begins, .sequence_length = 5, .samples = 0, .seed = 1, .shuffle = false});
  ASSERT_EQ(order.size(), 4);
  std::vector<TokenPiece> pieces;
  for (int64_t i = 0; i < order.size(); ++i) {
    order.pieces(i, pieces);
    EXPECT_EQ(pieces, (std::vector<TokenPiece>{{5 * i, 6}})) << i;
  }
}

TEST(SampleOrder, UnshuffledEpochsFollowEachOther) {
  const std::vector<int64_t> begins = begins_of({4, 3});
  const SampleOrder order({.document_begins = begins, .sequence_length = 5, .samples = 2, .seed = 1, .shuffle = false});
  ASSERT_EQ(order.epochs(), 2);
  EXPECT_EQ(positions(order, 1), (std::vector<int64_t>{5, 6, 0, 1, 2, 3}));
}

TEST(SampleOrder, NoTokensIsAnError) {
  const std::vector<int64_t> begins = begins_of({0, 0});
  EXPECT_THROW(SampleOrder({.document_begins = begins, .sequence_length = 4, .samples = 1, .seed = 1}), UserError);
}

}  // namespace
}  // namespace timetrial
