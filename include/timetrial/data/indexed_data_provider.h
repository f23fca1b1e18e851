// Training and evaluation batches from token files, read ahead by a thread of their own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/data/batch_source.h"
#include "timetrial/data/sampler.h"

namespace timetrial {

class Blend;
class IndexedTokens;
class SampleOrder;

// One token file and the order of its samples.
struct OrderedTokens {
  std::shared_ptr<const IndexedTokens> tokens;
  std::shared_ptr<const SampleOrder> order;
};

struct IndexedDataSpec {
  std::vector<std::string> train_prefixes;  // each the PREFIX of PREFIX.idx and PREFIX.bin; several are blended
  std::vector<double> train_weights = {};   // one per prefix; empty: equal
  std::string validation_prefix = {};       // not opened when evaluation_samples is 0
  int64_t sequence_length;
  int64_t vocabulary;          // ids are in [0, vocabulary)
  int64_t global_batch;        // training rows per step over all ranks
  int64_t micro_batch;         // training rows per micro batch of one rank
  int64_t training_samples;    // N of the sample order: max_steps * global_batch; 0: no training, its files stay closed
  int64_t evaluation_samples;  // samples of one evaluation over all ranks
  int64_t evaluation_batch;    // rows per evaluation batch over all ranks; the last batch may be smaller
  uint32_t seed;               // of the sample order
  int dp_rank = 0, dp_size = 1;
  SamplerKind training_sampler = SamplerKind::single;
  EvaluationOrder evaluation_order = EvaluationOrder::file;
  // N of the evaluations' order where the seed shuffles it: what all evaluations of a run ask for, or the passes over
  // the file that are mixed are not the reference's. 0: one evaluation.
  int64_t validation_samples = 0;

  // N of the evaluations' order, whatever order that is.
  int64_t ordered_validation_samples() const {
    const bool shuffled = evaluation_order != EvaluationOrder::file;
    return shuffled && validation_samples > evaluation_samples ? validation_samples : evaluation_samples;
  }
};

// Reads the .idx files, one at a time, and throws what an IndexedDataProvider of this spec throws about them; makes no
// order of samples. Thread-safe.
void check_token_files(const IndexedDataSpec& spec);

// Training: the reference's order (section 10.1) under a sampler (section 10.4). Several training files are blended
// (section 10.2): each gives its share of samples and 0.5 % more in an order of its own, all with the same seed; one
// file is used as it is. Evaluation: batch b is items [b * evaluation_batch, ...) of those that evaluation_order gives,
// of which rank r gets rows [B * r / dp_size, B * (r + 1) / dp_size) of the batch's B rows. A rank's share can be 0
// rows. Every rank has evaluation_batches() batches. A source owns one thread and two staging batches; it checks that
// every id is in the vocabulary before next() hands it over, and reports file and token position. Its destructor stops
// the thread after at most one read. Sources may outlive the provider. Members are thread-safe; a source belongs to one
// thread.
class IndexedDataProvider final : public DataProvider {
 public:
  // Reads the .idx files and makes the orders. Throws DataError or UserError with the numbers: a file shorter than one
  // sequence, no documents, fewer validation samples than asked for, batches that do not divide.
  explicit IndexedDataProvider(const IndexedDataSpec& spec);
  ~IndexedDataProvider() override;

  std::unique_ptr<BatchSource> training() override;
  std::unique_ptr<BatchSource> evaluation() override;
  int64_t training_samples() const override;    // of the order: at least spec.training_samples; of a blend exactly
  int64_t evaluation_samples() const override;  // spec.evaluation_samples
  int64_t evaluation_batches() const;           // per evaluation
  const SampleOrder& training_order(size_t file = 0) const { return *train_.at(file).order; }

 private:
  void open_training();
  std::function<int64_t(int64_t)> evaluation_items(int64_t evaluation) const;

  IndexedDataSpec spec_;
  std::vector<OrderedTokens> train_;
  std::shared_ptr<const Blend> blend_;  // none for one file
  OrderedTokens validation_;
  std::atomic<int64_t> evaluations_ = 0;  // opened so far
};

}  // namespace timetrial
