// Opens the token files of a run, checks that they are long enough, and makes its sources.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/indexed_data_provider.h"

#include <algorithm>

#include "data/prefetch.h"
#include "timetrial/base/error.h"

namespace timetrial {
namespace {

std::shared_ptr<const IndexedTokens> open_tokens(const std::string& prefix, int64_t sequence_length) {
  auto tokens = std::make_shared<const IndexedTokens>(prefix);
  if (tokens->documents() == 0)
    throw DataError(idx_path_of(prefix), "has no documents; prepare it from a text that is not empty");
  if (tokens->tokens() < sequence_length + 1) {
    throw DataError(idx_path_of(prefix),
                    fmt::format("has {} tokens, one sequence of {} needs {}; use more text or a shorter "
                                "sequence",
                                tokens->tokens(), sequence_length, sequence_length + 1));
  }
  return tokens;
}

std::shared_ptr<const SampleOrder> order_of(const IndexedTokens& tokens, const IndexedDataSpec& spec, int64_t samples,
                                            bool shuffle) {
  return std::make_shared<const SampleOrder>(SampleOrderSpec{.document_begins = tokens.document_begins(),
                                                             .sequence_length = spec.sequence_length,
                                                             .samples = samples,
                                                             .seed = spec.seed,
                                                             .shuffle = shuffle});
}

SamplerSpec sampler_spec(const IndexedDataSpec& spec, int64_t items) {
  return {.kind = spec.training_sampler,
          .items = items,
          .global_batch = spec.global_batch,
          .micro_batch = spec.micro_batch,
          .dp_rank = spec.dp_rank,
          .dp_size = spec.dp_size};
}

}  // namespace

IndexedDataProvider::IndexedDataProvider(const IndexedDataSpec& spec) : spec_(spec) {
  TIMETRIAL_CHECK(spec.sequence_length > 0 && spec.vocabulary > 0, "sequence length {}, vocabulary {}",
                  spec.sequence_length, spec.vocabulary);
  TIMETRIAL_CHECK(spec.training_samples > 0 && spec.evaluation_samples >= 0, "{} training and {} evaluation samples",
                  spec.training_samples, spec.evaluation_samples);
  train_ = open_tokens(spec.train_prefix, spec.sequence_length);
  train_order_ = order_of(*train_, spec, spec.training_samples, true);
  const Sampler checks_the_batch(sampler_spec(spec, train_order_->size()));
  if (spec.evaluation_samples == 0) return;

  TIMETRIAL_CHECK(spec.evaluation_batch > 0, "evaluation batch {}", spec.evaluation_batch);
  validation_ = open_tokens(spec.validation_prefix, spec.sequence_length);
  const int64_t available = (validation_->tokens() - 1) / spec.sequence_length;
  if (available < spec.evaluation_samples) {
    throw DataError(
        idx_path_of(spec.validation_prefix),
        fmt::format("gives {} samples of {} tokens, an evaluation asks for {}; hold out more text, or ask for "
                    "fewer samples or a shorter sequence",
                    available, spec.sequence_length, spec.evaluation_samples));
  }
  validation_order_ = order_of(*validation_, spec, spec.evaluation_samples, spec.evaluation_shuffle);
}

IndexedDataProvider::~IndexedDataProvider() = default;

std::unique_ptr<BatchSource> IndexedDataProvider::training() {
  const auto sampler = std::make_shared<Sampler>(sampler_spec(spec_, train_order_->size()));
  const bool endless = spec_.training_sampler == SamplerKind::cyclic;
  return std::make_unique<PrefetchSource>(PrefetchSpec{
      .tokens = train_,
      .order = train_order_,
      .sequence_length = spec_.sequence_length,
      .vocabulary = spec_.vocabulary,
      .batches = endless ? INT64_MAX : sampler->steps(),
      .items =
          [sampler](int64_t batch, std::vector<int64_t>& items) {
            for (int64_t m = 0; m < sampler->micro_batches(); ++m) sampler->append(batch, m, items);
          },
  });
}

std::unique_ptr<BatchSource> IndexedDataProvider::evaluation() {
  TIMETRIAL_CHECK(validation_order_ != nullptr, "an evaluation of 0 samples");
  const auto share = [spec = spec_](int64_t batch, std::vector<int64_t>& items) {
    const int64_t begin = batch * spec.evaluation_batch;
    const int64_t rows = std::min(spec.evaluation_batch, spec.evaluation_samples - begin);
    const int64_t last = begin + rows * (spec.dp_rank + 1) / spec.dp_size;
    for (int64_t item = begin + rows * spec.dp_rank / spec.dp_size; item < last; ++item) items.push_back(item);
  };
  return std::make_unique<PrefetchSource>(PrefetchSpec{
      .tokens = validation_,
      .order = validation_order_,
      .sequence_length = spec_.sequence_length,
      .vocabulary = spec_.vocabulary,
      .batches = evaluation_batches(),
      .items = share,
  });
}

int64_t IndexedDataProvider::training_samples() const { return train_order_->size(); }
int64_t IndexedDataProvider::evaluation_samples() const { return spec_.evaluation_samples; }
int64_t IndexedDataProvider::evaluation_batches() const {
  if (spec_.evaluation_samples == 0) return 0;
  return (spec_.evaluation_samples + spec_.evaluation_batch - 1) / spec_.evaluation_batch;
}

}  // namespace timetrial
