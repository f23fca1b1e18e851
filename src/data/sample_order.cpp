// Builds the order: epochs, the row of documents, where each sample starts in it, and the order of the samples.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/sample_order.h"

#include <limits>
#include <new>
#include <numeric>

#include "timetrial/base/error.h"
#include "timetrial/data/numpy_random.h"

namespace timetrial {
namespace {

constexpr int64_t kFewest64 = 0xffffffffll;  // samples from which on a shuffle's entries have 64 bits

template <class T>
void shuffle_parts(std::vector<T>& values, size_t first_part, NumpyRandom& random) {
  std::iota(values.begin(), values.end(), T{0});
  random.shuffle(std::span<T>(values).first(first_part));
  random.shuffle(std::span<T>(values).subspan(first_part));
}

}  // namespace

SampleOrder::SampleOrder(const SampleOrderSpec& spec)
    : begins_(spec.document_begins), sequence_length_(spec.sequence_length), shuffled_(spec.shuffle) {
  const int64_t s = sequence_length_;
  TIMETRIAL_CHECK(s > 0 && spec.samples >= 0, "sequence length {}, {} samples", s, spec.samples);
  TIMETRIAL_CHECK(!begins_.empty() && begins_.front() == 0, "document offsets must start with 0");
  TIMETRIAL_CHECK(begins_.size() - 1 <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "{} documents",
                  begins_.size());
  const SampleOrderExtent planned = extent(begins_.back(), s, spec.samples);
  epochs_ = planned.epochs;
  separate_ = planned.separate_last;
  try {
    NumpyRandom random(spec.seed);
    if (shuffled_) order_documents(random);
    place_samples(planned.samples);
    if (shuffled_) shuffle_samples(random, planned.in_full_epochs);
  } catch (const std::bad_alloc&) {
    throw UserError(
        fmt::format("the order of {} samples over {} epochs of {} documents does not fit into memory; ask for fewer "
                    "samples (fewer steps)",
                    planned.samples, epochs_, begins_.size() - 1));
  }
}

SampleOrderExtent SampleOrder::extent(int64_t tokens, int64_t sequence_length, int64_t samples) {
  if (tokens == 0) throw UserError("there are no tokens to make samples of; prepare the data again");
  if (samples > (std::numeric_limits<int64_t>::max() / 4 - 1) / sequence_length) {
    throw UserError(fmt::format("{} samples of {} tokens are more than this program counts; ask for fewer", samples,
                                sequence_length));
  }
  SampleOrderExtent extent;
  if (samples > 0) extent.epochs = (samples * sequence_length + 1 + tokens - 1) / tokens;
  extent.samples = (extent.epochs * tokens - 1) / sequence_length;
  extent.in_full_epochs = extent.samples;
  if (extent.epochs == 1) return extent;
  const int64_t before_last = ((extent.epochs - 1) * tokens - 1) / sequence_length;
  const int64_t last = samples - before_last;
  const int64_t per_epoch = (tokens - 1) / sequence_length;
  extent.separate_last = last < static_cast<int64_t>(0.80 * static_cast<double>(per_epoch));
  if (extent.separate_last) extent.in_full_epochs = before_last;
  return extent;
}

size_t SampleOrder::planned_bytes(const SampleOrderExtent& extent, int64_t documents, bool shuffle) {
  const auto samples = static_cast<size_t>(extent.samples);
  const size_t places = samples * (sizeof(int64_t) + sizeof(int32_t));
  if (!shuffle) return places;
  const size_t word = extent.samples < kFewest64 ? sizeof(uint32_t) : sizeof(int64_t);
  return places + samples * word +
         static_cast<size_t>(documents) * static_cast<size_t>(extent.epochs) * sizeof(int32_t);
}

void SampleOrder::order_documents(NumpyRandom& random) {
  const size_t count = begins_.size() - 1;
  documents_.resize(count * static_cast<size_t>(epochs_));
  for (size_t first = 0; first < documents_.size(); first += count) {
    std::iota(documents_.begin() + static_cast<std::ptrdiff_t>(first),
              documents_.begin() + static_cast<std::ptrdiff_t>(first + count), 0);
  }
  const size_t mixed = separate_ ? documents_.size() - count : documents_.size();
  random.shuffle(std::span<int32_t>(documents_).first(mixed));
  random.shuffle(std::span<int32_t>(documents_).subspan(mixed));
}

int64_t SampleOrder::document_at(int64_t position) const {
  return shuffled_ ? documents_[static_cast<size_t>(position)] : position % (static_cast<int64_t>(begins_.size()) - 1);
}

void SampleOrder::place_samples(int64_t samples) {
  start_position_.reserve(static_cast<size_t>(samples));
  start_offset_.reserve(static_cast<size_t>(samples));
  int64_t position = 0;
  int64_t passed = 0;  // tokens of the documents before `position`
  for (int64_t sample = 0; sample < samples; ++sample) {
    const int64_t start = sample * sequence_length_;
    for (;; ++position) {
      const auto d = static_cast<size_t>(document_at(position));
      const int64_t length = begins_[d + 1] - begins_[d];
      if (start < passed + length) break;
      passed += length;
    }
    start_position_.push_back(position);
    start_offset_.push_back(static_cast<int32_t>(start - passed));
  }
}

void SampleOrder::shuffle_samples(NumpyRandom& random, int64_t in_full_epochs) {
  const auto samples = static_cast<size_t>(size());
  if (size() < kFewest64) {
    shuffle32_.resize(samples);
    shuffle_parts(shuffle32_, static_cast<size_t>(in_full_epochs), random);
  } else {
    shuffle64_.resize(samples);
    shuffle_parts(shuffle64_, static_cast<size_t>(in_full_epochs), random);
  }
}

size_t SampleOrder::memory_bytes() const {
  return documents_.size() * 4 + start_position_.size() * 8 + start_offset_.size() * 4 + shuffle32_.size() * 4 +
         shuffle64_.size() * 8;
}

int64_t SampleOrder::sample(int64_t item) const {
  TIMETRIAL_CHECK(item >= 0 && item < size(), "item {} of {}", item, size());
  const auto i = static_cast<size_t>(item);
  if (!shuffle32_.empty()) return shuffle32_[i];
  if (!shuffle64_.empty()) return shuffle64_[i];
  return item;
}

void SampleOrder::pieces(int64_t item, std::vector<TokenPiece>& pieces) const {
  pieces.clear();
  const auto at = static_cast<size_t>(sample(item));
  int64_t position = start_position_[at];
  int64_t skip = start_offset_[at];
  for (int64_t missing = sequence_length_ + 1; missing > 0; ++position, skip = 0) {
    const auto d = static_cast<size_t>(document_at(position));
    const int64_t first = begins_[d] + skip;
    const int64_t count = std::min(missing, begins_[d + 1] - first);
    missing -= count;
    if (!pieces.empty() && pieces.back().first + pieces.back().count == first) {
      pieces.back().count += count;
    } else if (count > 0) {
      pieces.push_back({first, count});
    }
  }
}

}  // namespace timetrial
