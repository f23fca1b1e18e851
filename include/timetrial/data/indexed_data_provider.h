// Training and evaluation batches from token files, read ahead by a thread of their own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "timetrial/data/batch_source.h"
#include "timetrial/data/sampler.h"

namespace timetrial {

class IndexedTokens;
class SampleOrder;

struct IndexedDataSpec {
  std::string train_prefix;            // PREFIX of PREFIX.idx and PREFIX.bin
  std::string validation_prefix = {};  // not opened when evaluation_samples is 0
  int64_t sequence_length;
  int64_t vocabulary;          // ids are in [0, vocabulary)
  int64_t global_batch;        // training rows per step over all ranks
  int64_t micro_batch;         // training rows per micro batch of one rank
  int64_t training_samples;    // N of the sample order: max_steps * global_batch
  int64_t evaluation_samples;  // samples of one evaluation over all ranks
  int64_t evaluation_batch;    // rows per evaluation batch over all ranks; the last batch may be smaller
  uint32_t seed;               // of the sample order
  int dp_rank = 0, dp_size = 1;
  SamplerKind training_sampler = SamplerKind::single;
  // false: the first evaluation_samples of the file, in file order. true: the first ones of the order that the seed
  // gives (workloads.md section 6.2, `reference`).
  bool evaluation_shuffle = false;
};

// Training: the reference's order (section 10.1) under a sampler (section 10.4). Evaluation: the same samples each
// time; batch b is items [b * evaluation_batch, ...), of which rank r gets rows [B * r / dp_size, B * (r + 1) /
// dp_size) of the batch's B rows. A rank's share can be 0 rows. Every rank has evaluation_batches() batches. A source
// owns one thread and two staging batches; it checks that every id is in the vocabulary before next() hands it over,
// and reports file and token position. Its destructor stops the thread after at most one read. Sources may outlive the
// provider. Members are thread-safe; a source belongs to one thread.
class IndexedDataProvider final : public DataProvider {
 public:
  // Reads the .idx files and makes the orders. Throws DataError or UserError with the numbers: a file shorter than one
  // sequence, no documents, fewer validation samples than asked for, batches that do not divide.
  explicit IndexedDataProvider(const IndexedDataSpec& spec);
  ~IndexedDataProvider() override;

  std::unique_ptr<BatchSource> training() override;
  std::unique_ptr<BatchSource> evaluation() override;
  int64_t training_samples() const override;    // of the order: at least spec.training_samples
  int64_t evaluation_samples() const override;  // spec.evaluation_samples
  int64_t evaluation_batches() const;           // per evaluation
  const SampleOrder& training_order() const { return *train_order_; }

 private:
  IndexedDataSpec spec_;
  std::shared_ptr<const IndexedTokens> train_, validation_;
  std::shared_ptr<const SampleOrder> train_order_, validation_order_;
};

}  // namespace timetrial
