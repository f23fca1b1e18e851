// Ranks that share a vocabulary: each computes the statistics of its classes, gathers those of all, and ends with the
// loss and the gradient that one rank has. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <mutex>

#include "fixtures/bench.h"
#include "timetrial/comm/thread_ranks.h"
#include "timetrial/ops/cross_entropy.h"
#include "timetrial/ops/sharded_cross_entropy.h"

namespace timetrial {
namespace {

using Values = std::vector<double>;
constexpr int64_t kRows = 11, kClasses = 24;
constexpr double kScale = 1.0 / 64;

// Columns [begin, end) of every row.
Values columns_of(const Values& all, int64_t begin, int64_t end) {
  Values part;
  for (int64_t row = 0; row < kRows; ++row)
    part.insert(part.end(), all.begin() + row * kClasses + begin, all.begin() + row * kClasses + end);
  return part;
}

struct Shared {
  Values loss, gradient;
};

TEST(ShardedLoss, OfRanksThatGatherTheirStatisticsIsThatOfOne) {
  const Values logits = fixtures::random_values(kRows * kClasses, 1, -5, 5);
  const std::vector<int32_t> labels = fixtures::random_ids(kRows, kClasses, 2);
  const OwnedTensor ids(DType::i32, {kRows});
  from_host_i32(ids, labels, {});

  Shared whole;
  {
    OwnedTensor all(DType::f64, {kRows, kClasses}), loss(DType::f64, {kRows}), lse(DType::f64, {kRows});
    from_host(all, logits, {});
    ops::cross_entropy_forward({.loss = loss, .lse = lse, .logits = all, .labels = ids}, {});
    ops::cross_entropy_backward({.logits = all, .lse = lse, .labels = ids, .scale = kScale}, {});
    whole = {to_host(loss, {}), to_host(all, {})};
  }

  for (const int ranks : {1, 2, 3, 5}) {
    std::mutex guard;
    std::vector<Shared> of_rank(static_cast<size_t>(ranks));
    comm::run_thread_ranks(ranks, [&](comm::Bootstrap& bootstrap) {
      const auto world = bootstrap.make_world({}, {});
      const int64_t begin = kClasses * world->rank() / ranks, end = kClasses * (world->rank() + 1) / ranks;
      OwnedTensor part(DType::f64, {kRows, end - begin}), statistics(DType::f64, {3, kRows});
      OwnedTensor gathered(DType::f64, {ranks, 3, kRows}), loss(DType::f64, {kRows}), lse(DType::f64, {kRows});
      from_host(part, columns_of(logits, begin, end), {});
      const ops::ClassShard shard{.first = begin, .all = kClasses};
      ops::cross_entropy_shard_forward({.statistics = statistics, .logits = part, .labels = ids, .shard = shard}, {});
      world->all_gather(gathered, statistics, {.stream = {}, .purpose = "loss statistics"});
      ops::cross_entropy_combine({.loss = loss, .lse = lse, .statistics = gathered}, {});
      ops::cross_entropy_shard_backward({.logits = part, .lse = lse, .labels = ids, .shard = shard, .scale = kScale},
                                        {});
      const std::lock_guard lock(guard);
      of_rank[static_cast<size_t>(world->rank())] = {to_host(loss, {}), to_host(part, {})};
    });
    for (int rank = 0; rank < ranks; ++rank) {
      const Shared& got = of_rank[static_cast<size_t>(rank)];
      EXPECT_EQ(got.loss, of_rank[0].loss);  // the same bits on every rank
      fixtures::expect_close(got.loss, whole.loss, {1e-12, 0}, "loss");
      const int64_t begin = kClasses * rank / ranks, end = kClasses * (rank + 1) / ranks;
      fixtures::expect_close(got.gradient, columns_of(whole.gradient, begin, end), {1e-12, 1e-16}, "gradient");
    }
  }
}

}  // namespace
}  // namespace timetrial
