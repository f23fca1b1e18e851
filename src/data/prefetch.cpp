// The reading thread, its hand-over, and the check of every token id against the vocabulary.
// SPDX-License-Identifier: Apache-2.0
#include "data/prefetch.h"

#include <utility>

#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"

namespace timetrial {

PrefetchSource::PrefetchSource(PrefetchSpec spec) : spec_(std::move(spec)) {
  thread_ = std::thread([this, rank = thread_rank()] {
    set_thread_rank(rank);
    run();
  });
}

PrefetchSource::~PrefetchSource() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

const HostBatch& PrefetchSource::next() {
  std::unique_lock lock(mutex_);
  TIMETRIAL_CHECK(taken_ < spec_.batches, "batch {} of {}", taken_, spec_.batches);
  // The thread may overwrite the batch handed out before only once this one is taken: filled_ - taken_ stays below 2.
  changed_.wait(lock, [this] { return filled_ > taken_ || error_; });
  if (filled_ == taken_) std::rethrow_exception(error_);
  const HostBatch& batch = staging_[taken_ % 2];
  ++taken_;
  lock.unlock();
  changed_.notify_all();
  return batch;
}

bool PrefetchSource::stopped() {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void PrefetchSource::run() {
  try {
    for (int64_t batch = 0; batch < spec_.batches; ++batch) {
      {
        std::unique_lock lock(mutex_);
        // Batch b goes where b - 2 was; the caller let go of that one by taking b - 1.
        changed_.wait(lock, [&] { return stop_ || batch < 2 || taken_ >= batch; });
        if (stop_) return;
      }
      fill(batch, staging_[batch % 2]);
      {
        const std::lock_guard lock(mutex_);
        if (stop_) return;
        filled_ = batch + 1;
      }
      changed_.notify_all();
    }
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
    changed_.notify_all();
  }
}

void PrefetchSource::fill(int64_t batch, HostBatch& to) {
  items_.clear();
  spec_.items(batch, items_);
  to.rows = static_cast<int64_t>(items_.size());
  to.row_length = spec_.sequence_length + 1;
  to.tokens.resize(static_cast<size_t>(to.rows * to.row_length));
  std::span<int32_t> rest(to.tokens);
  for (const BlendItem& item : items_) {
    const OrderedTokens& file = spec_.files.at(static_cast<size_t>(item.dataset));
    file.order->pieces(item.item, pieces_);
    for (const TokenPiece& piece : pieces_) {
      if (stopped()) return;
      const auto ids = rest.first(static_cast<size_t>(piece.count));
      file.tokens->read(piece.first, ids);
      check_ids(*file.tokens, piece, ids);
      rest = rest.subspan(ids.size());
    }
  }
}

void PrefetchSource::check_ids(const IndexedTokens& tokens, const TokenPiece& piece,
                               std::span<const int32_t> ids) const {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < spec_.vocabulary) [[likely]]
      continue;
    const int64_t at = piece.first + static_cast<int64_t>(i);
    throw DataError(
        tokens.bin_path(),
        fmt::format("token id {} at token position {} (document {}) is outside the vocabulary of {} ids; use the "
                    "vocabulary the file was prepared with, or prepare it again",
                    ids[i], at, tokens.document_at(at), spec_.vocabulary));
  }
}

}  // namespace timetrial
