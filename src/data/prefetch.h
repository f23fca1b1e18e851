// A batch source that reads one batch ahead on its own thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "timetrial/data/batch_source.h"
#include "timetrial/data/blend.h"
#include "timetrial/data/indexed_data_provider.h"
#include "timetrial/data/indexed_tokens.h"
#include "timetrial/data/sample_order.h"

namespace timetrial {

struct PrefetchSpec {
  std::vector<OrderedTokens> files;
  int64_t sequence_length;
  int64_t vocabulary;
  int64_t batches;  // how many there are
  // Fills in the items of a batch, row by row, each of one of the files; called by the reading thread alone, batch
  // after batch.
  std::function<void(int64_t batch, std::vector<BlendItem>& items)> items;
};

// Two staging batches: the caller works on one while the thread fills the other. An error of the reading thread is kept
// and thrown by the next() whose batch it hit, and by all later ones.
class PrefetchSource final : public BatchSource {
 public:
  explicit PrefetchSource(PrefetchSpec spec);
  ~PrefetchSource() override;

  const HostBatch& next() override;

 private:
  void run();
  void fill(int64_t batch, HostBatch& to);
  void check_ids(const IndexedTokens& tokens, const TokenPiece& piece, std::span<const int32_t> ids) const;
  bool stopped();

  PrefetchSpec spec_;
  std::vector<BlendItem> items_;
  std::vector<TokenPiece> pieces_;
  HostBatch staging_[2];

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t filled_ = 0;  // batches ready, counted from the start
  int64_t taken_ = 0;   // batches handed out; the last one is still in the caller's hands
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: starts when all the rest is there
};

}  // namespace timetrial
