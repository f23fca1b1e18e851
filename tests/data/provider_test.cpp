// Batches as the trainer gets them: the right tokens in the right order, on every rank, and errors instead of bad ids.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <thread>

#include "data/token_files.h"
#include "timetrial/base/error.h"
#include "timetrial/data/indexed_data_provider.h"
#include "timetrial/data/numpy_random.h"
#include "timetrial/data/sample_order.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::message_of;
using Row = std::vector<int32_t>;

std::vector<Row> rows_of(const HostBatch& batch) {
  std::vector<Row> rows;
  for (int64_t r = 0; r < batch.rows; ++r) {
    const auto first = batch.tokens.begin() + r * batch.row_length;
    rows.emplace_back(first, first + batch.row_length);
  }
  return rows;
}

class Provider : public testing::Folder {
 protected:
  Provider() {
    std::vector<int> lengths;
    for (int i = 0; i < 60; ++i) lengths.push_back(1 + i * 7 % 23);  // 700 tokens or so
    begins_ = testing::begins_of(lengths);
    counting_file("train", lengths);
    counting_file("validation", {40, 61});
  }

  IndexedDataSpec spec() const {
    return {.train_prefixes = {path("train")},
            .validation_prefix = path("validation"),
            .sequence_length = 8,
            .vocabulary = begins_.back(),
            .global_batch = 12,
            .micro_batch = 2,
            .training_samples = 12 * 20,
            .evaluation_samples = 10,
            .evaluation_batch = 4,
            .seed = 5};
  }

  // What step `step` must hold over all ranks, straight from the order: tokens count up, so positions are the tokens.
  std::vector<Row> direct(const IndexedDataProvider& provider, int64_t step) const {
    std::vector<Row> rows;
    std::vector<TokenPiece> pieces;
    for (int64_t item = step * 12; item < step * 12 + 12; ++item) {
      provider.training_order().pieces(item, pieces);
      Row row;
      for (const TokenPiece& piece : pieces) {
        for (int64_t i = 0; i < piece.count; ++i) row.push_back(static_cast<int32_t>(piece.first + i));
      }
      rows.push_back(row);
    }
    return rows;
  }

  std::vector<int64_t> begins_;
};

TEST_F(Provider, PrefetchedOrderIsTheDirectOrder) {
  IndexedDataProvider provider(spec());
  EXPECT_GE(provider.training_samples(), 240);
  const auto source = provider.training();
  for (int64_t step = 0; step < 20; ++step) {
    const HostBatch& batch = source->next();
    EXPECT_EQ(batch.rows, 12);
    EXPECT_EQ(batch.row_length, 9);
    EXPECT_EQ(rows_of(batch), direct(provider, step)) << step;
  }
}

// Two files take turns: item 2i is item i of the first, item 2i + 1 item i of the second (spec 15.4).
TEST_F(Provider, BlendsTwoFiles) {
  counting_file("second", {300, 200, 45, 100});
  IndexedDataSpec blended = spec();
  blended.train_prefixes.push_back(path("second"));
  IndexedDataProvider provider(blended);
  EXPECT_EQ(provider.training_samples(), 240);
  EXPECT_GE(provider.training_order(0).size(), 121);  // half of 240 and 0.5 % more
  EXPECT_GE(provider.training_order(1).size(), 121);
  const auto source = provider.training();
  std::vector<TokenPiece> pieces;
  for (int64_t step = 0; step < 20; ++step) {
    const std::vector<Row> rows = rows_of(source->next());
    for (int64_t r = 0; r < 12; ++r) {
      const int64_t item = step * 12 + r;
      provider.training_order(static_cast<size_t>(item % 2)).pieces(item / 2, pieces);
      EXPECT_EQ(rows[static_cast<size_t>(r)].front(), pieces.front().first) << item;
    }
  }
}

TEST_F(Provider, BlendsByWeight) {
  counting_file("second", {300, 200, 45, 100});
  IndexedDataSpec blended = spec();
  blended.train_prefixes.push_back(path("second"));
  blended.train_weights = {1, 3};
  IndexedDataProvider provider(blended);
  EXPECT_GE(provider.training_order(1).size(), 181);  // three quarters of 240 and 0.5 % more
  EXPECT_LT(provider.training_order(0).size(), provider.training_order(1).size());
}

TEST_F(Provider, ABatchStaysWhileTheNextIsRead) {
  IndexedDataProvider provider(spec());
  const auto source = provider.training();
  for (int64_t step = 0; step < 10; ++step) {
    const HostBatch& batch = source->next();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // time for the thread to run ahead
    EXPECT_EQ(rows_of(batch), direct(provider, step)) << step;
  }
}

TEST_F(Provider, RanksShareTheSameSet) {
  for (const int dp : {2, 3, 6}) {
    std::vector<std::unique_ptr<BatchSource>> sources;
    IndexedDataProvider whole(spec());
    for (int rank = 0; rank < dp; ++rank) {
      IndexedDataSpec part = spec();
      part.dp_rank = rank;
      part.dp_size = dp;
      sources.push_back(IndexedDataProvider(part).training());  // a source outlives its provider
    }
    for (int64_t step = 0; step < 5; ++step) {
      std::vector<Row> all, expected = direct(whole, step);
      for (const auto& source : sources) {
        const std::vector<Row> own = rows_of(source->next());
        EXPECT_EQ(own.size(), 12u / static_cast<size_t>(dp));
        all.insert(all.end(), own.begin(), own.end());
      }
      std::sort(all.begin(), all.end());
      std::sort(expected.begin(), expected.end());
      EXPECT_EQ(all, expected) << "dp " << dp << " step " << step;
    }
  }
}

// 10 samples in batches of 4, 4, 2: on 3 ranks some of the last batch's shares are empty, and nothing is lost.
TEST_F(Provider, EvaluationIsFixedCompleteAndStartsAgain) {
  for (int round = 0; round < 2; ++round) {
    std::vector<Row> all;
    for (int rank = 0; rank < 3; ++rank) {
      IndexedDataSpec part = spec();
      part.global_batch = 6;
      part.dp_rank = rank;
      part.dp_size = 3;
      part.seed = static_cast<uint32_t>(round);  // of no influence
      IndexedDataProvider provider(part);
      EXPECT_EQ(provider.evaluation_batches(), 3);
      const auto evaluate = [&provider] {
        const auto source = provider.evaluation();
        std::vector<Row> own;
        for (int batch = 0; batch < 3; ++batch) {
          for (const Row& row : rows_of(source->next())) own.push_back(row);
        }
        EXPECT_THROW(source->next(), Error);
        return own;
      };
      const std::vector<Row> own = evaluate();
      EXPECT_EQ(evaluate(), own);
      all.insert(all.end(), own.begin(), own.end());
    }
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all.size(), 10u);
    for (int32_t i = 0; i < 10; ++i) {
      Row expected(9);
      std::iota(expected.begin(), expected.end(), 8 * i);
      EXPECT_EQ(all[static_cast<size_t>(i)], expected);
    }
  }
}

TEST_F(Provider, ShuffledEvaluationFollowsTheSeed) {
  const auto first_rows = [&](uint32_t seed) {
    IndexedDataSpec shuffled = spec();
    shuffled.evaluation_order = EvaluationOrder::seed;
    shuffled.seed = seed;
    return rows_of(IndexedDataProvider(shuffled).evaluation()->next());
  };
  EXPECT_EQ(first_rows(3), first_rows(3));
  EXPECT_NE(first_rows(3), first_rows(4));
}

// The file has 12 samples; three evaluations of 10 mix three passes, whose documents and samples are shuffled as one.
TEST_F(Provider, ShuffledEvaluationMixesThePassesOfAWholeRun) {
  IndexedDataSpec shuffled = spec();
  shuffled.evaluation_order = EvaluationOrder::seed;
  const std::vector<Row> of_one = rows_of(IndexedDataProvider(shuffled).evaluation()->next());
  shuffled.validation_samples = 30;
  IndexedDataProvider provider(shuffled);
  const std::vector<Row> rows = rows_of(provider.evaluation()->next());
  EXPECT_NE(rows, of_one);
  EXPECT_EQ(rows, rows_of(provider.evaluation()->next()));  // the same at every evaluation
  IndexedDataSpec training = spec();
  training.train_prefixes = {path("validation")};
  training.global_batch = 4;
  training.training_samples = 30;
  IndexedDataProvider as_training(training);
  EXPECT_EQ(rows, rows_of(as_training.training()->next()));  // the order that a training file of N = 30 has
}

// 12 samples in the file, 10 in an evaluation: it goes on through pass after pass, each in torch.randperm's order over
// the seed's, and neither ranks nor batches change what an evaluation holds.
TEST_F(Provider, CyclicEvaluationGoesOnWhereTheLastOneEnded) {
  const auto evaluations = [&](IndexedDataSpec spec, int count) {
    spec.global_batch = 12;
    std::vector<Row> all;
    IndexedDataProvider provider(spec);
    for (int i = 0; i < count; ++i) {
      const auto source = provider.evaluation();
      for (int64_t batch = 0; batch < provider.evaluation_batches(); ++batch)
        for (const Row& row : rows_of(source->next())) all.push_back(row);
    }
    return all;
  };
  IndexedDataSpec seeded = spec();
  seeded.evaluation_order = EvaluationOrder::seed;
  seeded.evaluation_samples = 12;
  const std::vector<Row> order = evaluations(seeded, 1);
  IndexedDataSpec cyclic = spec();
  cyclic.evaluation_order = EvaluationOrder::cyclic;
  const std::vector<Row> rows = evaluations(cyclic, 6);
  ASSERT_EQ(rows.size(), 60u);
  for (uint32_t pass = 0; pass < 5; ++pass) {
    const std::vector<uint32_t> permutation = torch_randperm(12, pass);
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(rows[pass * 12 + i], order[permutation[i]]) << pass << " " << i;
  }
  for (int rank = 0; rank < 2; ++rank) {
    cyclic.dp_rank = rank;
    cyclic.dp_size = 2;
    const std::vector<Row> own = evaluations(cyclic, 2);  // batches of 4, 4, 2: rows 0-1, 4-5, 8 or 2-3, 6-7, 9
    for (size_t i = 0; i < own.size(); ++i) {
      const size_t in = i % 5, batch = in / 2,
                   row = batch < 2 ? batch * 4 + static_cast<size_t>(rank) * 2 + in % 2 : 8 + static_cast<size_t>(rank);
      EXPECT_EQ(own[i], rows[i / 5 * 10 + row]) << rank << " " << i;
    }
  }
}

TEST_F(Provider, CyclicTrainingGoesOn) {
  IndexedDataSpec cyclic = spec();
  cyclic.training_sampler = SamplerKind::cyclic;
  cyclic.training_samples = 24;
  IndexedDataProvider provider(cyclic);
  const auto source = provider.training();
  for (int64_t step = 0; step < provider.training_samples() / 12 + 5; ++step) EXPECT_EQ(source->next().rows, 12);
}

TEST_F(Provider, AnIdBeyondTheVocabularyStopsTheRunWithItsPlace) {
  IndexedDataSpec small = spec();
  small.vocabulary = 30;
  small.evaluation_samples = 8;
  IndexedDataProvider provider(small);
  const auto source = provider.evaluation();
  const auto take_all = [&] {
    for (int i = 0; i < 2; ++i) source->next();
  };
  // Tokens are their own positions; batch 0 is tokens 0 to 32, so 30 is the first one beyond.
  const std::string line = message_of<DataError>(take_all);
  EXPECT_TRUE(contains(line, "validation.bin"));
  EXPECT_TRUE(contains(line, "token id 30 at token position 30 (document 0) is outside the vocabulary of 30 ids"));
  EXPECT_THROW(source->next(), DataError);  // and it stays so
}

TEST_F(Provider, GoodBatchesComeBeforeTheError) {
  IndexedDataSpec later = spec();
  later.vocabulary = 50;  // evaluation batch 1 is tokens 32 to 64
  IndexedDataProvider provider(later);
  const auto source = provider.evaluation();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the thread has met the error by now
  EXPECT_EQ(source->next().rows, 4);
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { source->next(); }), "token id 50 at token position 50 (document 1)"));
}

TEST_F(Provider, ANegativeIdIsBeyondToo) {
  IndexedDataSpec odd = spec();
  const std::string bytes = get("validation.bin");
  std::string changed = bytes;
  changed[4 * 3 + 3] = '\x80';  // sign of token 3
  put("validation.bin", changed);
  IndexedDataProvider provider(odd);
  EXPECT_TRUE(contains(message_of<DataError>([&] { provider.evaluation()->next(); }),
                       "token id -2147483645 at token position 3"));
}

TEST_F(Provider, AFileThatShrinksStopsTheRun) {
  IndexedDataProvider provider(spec());
  std::filesystem::resize_file(path("train.bin"), 400);
  const auto source = provider.training();
  const auto take_all = [&] {
    for (int i = 0; i < 20; ++i) source->next();
  };
  EXPECT_TRUE(contains(message_of<DataError>(take_all), "shrank while in use"));
}

TEST_F(Provider, DestructorStopsAThreadThatIsAhead) {
  IndexedDataProvider provider(spec());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) provider.training();
  for (int i = 0; i < 50; ++i) provider.training()->next();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(Provider, RefusesFilesThatAreTooShort) {
  counting_file("short", {5, 3});
  counting_file("none", {});
  const auto refusal = [&](auto change) {
    IndexedDataSpec changed = spec();
    change(changed);
    return message_of<UserError>([&] { IndexedDataProvider provider(changed); });
  };
  EXPECT_TRUE(contains(refusal([&](auto& s) { s.train_prefixes = {path("short")}; }),
                       "has 8 tokens, one sequence of 8 needs 9"));
  EXPECT_TRUE(contains(refusal([&](auto& s) { s.train_prefixes = {path("none")}; }), "none.idx: has no documents"));
  EXPECT_TRUE(contains(refusal([&](auto& s) { s.validation_prefix = path("short"); }), "has 8 tokens"));
  EXPECT_TRUE(contains(refusal([&](auto& s) { s.evaluation_samples = 13; }),
                       "gives 12 samples of 8 tokens, an evaluation asks for 13"));
  EXPECT_TRUE(contains(refusal([&](auto& s) { s.micro_batch = 5; }), "not a multiple of micro batch 5"));
}

TEST_F(Provider, WithoutEvaluationNoValidationFileIsNeeded) {
  IndexedDataSpec only = spec();
  only.validation_prefix = "";
  only.evaluation_samples = 0;
  IndexedDataProvider provider(only);
  EXPECT_EQ(provider.evaluation_batches(), 0);
  EXPECT_EQ(provider.training()->next().rows, 12);
}

}  // namespace
}  // namespace timetrial
