// Opens the token files of a run, checks that they are long enough, and makes its sources.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/indexed_data_provider.h"

#include <algorithm>

#include "data/prefetch.h"
#include "timetrial/base/error.h"
#include "timetrial/data/blend.h"

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

std::shared_ptr<const IndexedTokens> open_validation(const IndexedDataSpec& spec) {
  auto tokens = open_tokens(spec.validation_prefix, spec.sequence_length);
  const int64_t available = (tokens->tokens() - 1) / spec.sequence_length;
  if (available >= spec.evaluation_samples) return tokens;
  throw DataError(
      idx_path_of(spec.validation_prefix),
      fmt::format("gives {} samples of {} tokens, an evaluation asks for {}; hold out more text, or ask for "
                  "fewer samples or a shorter sequence",
                  available, spec.sequence_length, spec.evaluation_samples));
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

void check_token_files(const IndexedDataSpec& spec) {
  if (spec.training_samples > 0)
    for (const std::string& prefix : spec.train_prefixes) open_tokens(prefix, spec.sequence_length);
  if (spec.evaluation_samples > 0) open_validation(spec);
}

IndexedDataProvider::IndexedDataProvider(const IndexedDataSpec& spec) : spec_(spec) {
  TIMETRIAL_CHECK(spec.sequence_length > 0 && spec.vocabulary > 0, "sequence length {}, vocabulary {}",
                  spec.sequence_length, spec.vocabulary);
  TIMETRIAL_CHECK(!spec.train_prefixes.empty() &&
                      (spec.train_weights.empty() || spec.train_weights.size() == spec.train_prefixes.size()),
                  "{} training files, {} weights", spec.train_prefixes.size(), spec.train_weights.size());
  TIMETRIAL_CHECK(spec.training_samples >= 0 && spec.evaluation_samples >= 0, "{} training and {} evaluation samples",
                  spec.training_samples, spec.evaluation_samples);
  if (spec.training_samples > 0) open_training();
  if (spec.evaluation_samples == 0) return;

  TIMETRIAL_CHECK(spec.evaluation_batch > 0, "evaluation batch {}", spec.evaluation_batch);
  validation_.tokens = open_validation(spec);
  validation_.order = order_of(*validation_.tokens, spec, spec.ordered_validation_samples(),
                               spec.evaluation_order != EvaluationOrder::file);
}

void IndexedDataProvider::open_training() {
  const size_t files = spec_.train_prefixes.size();
  if (files > 1) {
    const std::vector<double> equal(files, 1.0);
    blend_ = std::make_shared<const Blend>(spec_.train_weights.empty() ? equal : spec_.train_weights,
                                           spec_.training_samples);
  }
  for (size_t file = 0; file < files; ++file) {
    const auto tokens = open_tokens(spec_.train_prefixes[file], spec_.sequence_length);
    const int64_t samples = blend_ ? blend_->requested(file) : spec_.training_samples;
    train_.push_back({tokens, order_of(*tokens, spec_, samples, true)});
  }
  const Sampler checks_the_batch(sampler_spec(spec_, training_samples()));
}

IndexedDataProvider::~IndexedDataProvider() = default;

std::unique_ptr<BatchSource> IndexedDataProvider::training() {
  TIMETRIAL_CHECK(!train_.empty(), "training on 0 samples");
  const auto sampler = std::make_shared<Sampler>(sampler_spec(spec_, training_samples()));
  const bool endless = spec_.training_sampler == SamplerKind::cyclic;
  return std::make_unique<PrefetchSource>(PrefetchSpec{
      .files = train_,
      .sequence_length = spec_.sequence_length,
      .vocabulary = spec_.vocabulary,
      .batches = endless ? INT64_MAX : sampler->steps(),
      .items =
          [sampler, blend = blend_, taken = std::vector<int64_t>()](int64_t batch,
                                                                    std::vector<BlendItem>& items) mutable {
            taken.clear();
            for (int64_t m = 0; m < sampler->micro_batches(); ++m) sampler->append(batch, m, taken);
            for (const int64_t item : taken) items.push_back(blend ? blend->item(item) : BlendItem{0, item});
          },
  });
}

// Which item of the validation order sample i of evaluation number `evaluation` is. Going on, the order is that of one
// rank with batches of one, whatever the ranks, so that a plan does not change what is evaluated.
std::function<int64_t(int64_t)> IndexedDataProvider::evaluation_items(int64_t evaluation) const {
  switch (spec_.evaluation_order) {
    case EvaluationOrder::file:
    case EvaluationOrder::seed:
      return [](int64_t i) { return i; };
    case EvaluationOrder::cyclic:
      break;
  }
  const auto sampler = std::make_shared<Sampler>(SamplerSpec{
      .kind = SamplerKind::cyclic, .items = validation_.order->size(), .global_batch = 1, .micro_batch = 1});
  return [sampler, first = evaluation * spec_.evaluation_samples, one = std::vector<int64_t>()](int64_t i) mutable {
    one.clear();
    sampler->append(first + i, 0, one);
    return one.front();
  };
}

std::unique_ptr<BatchSource> IndexedDataProvider::evaluation() {
  TIMETRIAL_CHECK(validation_.order != nullptr, "an evaluation of 0 samples");
  const int64_t evaluation = evaluations_++;
  const auto share = [spec = spec_, item = evaluation_items(evaluation)](int64_t batch, std::vector<BlendItem>& items) {
    const int64_t begin = batch * spec.evaluation_batch;
    const int64_t rows = std::min(spec.evaluation_batch, spec.evaluation_samples - begin);
    const int64_t last = begin + rows * (spec.dp_rank + 1) / spec.dp_size;
    for (int64_t i = begin + rows * spec.dp_rank / spec.dp_size; i < last; ++i) items.push_back({0, item(i)});
  };
  return std::make_unique<PrefetchSource>(PrefetchSpec{
      .files = {validation_},
      .sequence_length = spec_.sequence_length,
      .vocabulary = spec_.vocabulary,
      .batches = evaluation_batches(),
      .items = share,
  });
}

int64_t IndexedDataProvider::training_samples() const {
  if (train_.empty()) return 0;
  return blend_ ? blend_->size() : train_.front().order->size();
}
int64_t IndexedDataProvider::evaluation_samples() const { return spec_.evaluation_samples; }
int64_t IndexedDataProvider::evaluation_batches() const {
  if (spec_.evaluation_samples == 0) return 0;
  return (spec_.evaluation_samples + spec_.evaluation_batch - 1) / spec_.evaluation_batch;
}

}  // namespace timetrial
