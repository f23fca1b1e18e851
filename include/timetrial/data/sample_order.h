// Which tokens make sample i: the reference's GPTDataset order, item for item (workloads.md section 10.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace timetrial {

// Consecutive tokens of a .bin file.
struct TokenPiece {
  int64_t first;  // token offset in the file
  int64_t count;
  bool operator==(const TokenPiece&) const = default;
};

struct SampleOrderSpec {
  // (documents + 1) token offsets, first 0 (IndexedTokens::document_begins); must outlive the SampleOrder.
  std::span<const int64_t> document_begins;
  int64_t sequence_length;
  int64_t samples;      // requested: as many epochs as these need are laid end to end; 0 asks for one epoch
  uint32_t seed;        // numpy RandomState seed
  bool shuffle = true;  // false: documents and samples in file order, the seed is not used
};

// How much an order will be, before it is made.
struct SampleOrderExtent {
  int64_t epochs = 1;          // of all documents, laid end to end
  int64_t samples = 0;         // of these epochs
  bool separate_last = false;  // the last epoch is shuffled on its own
  int64_t in_full_epochs = 0;  // samples that are shuffled together
};

// Immutable after construction: all members are thread-safe.
// Memory: 12 bytes per sample and, when shuffled, 4 per document and epoch and 4 per sample (8 from 2^32 - 1 samples
// on). Making it takes one shuffle of documents x epochs and one of the samples: about 1 s for ten million of both.
class SampleOrder {
 public:
  // Throws UserError when there are no tokens, or when the order does not fit into memory.
  explicit SampleOrder(const SampleOrderSpec& spec);

  // The extent of an order over this many tokens, and the bytes it will hold over so many documents: memory_bytes() of
  // one that was made. Throw as the constructor does.
  static SampleOrderExtent extent(int64_t tokens, int64_t sequence_length, int64_t samples);
  static size_t planned_bytes(const SampleOrderExtent& extent, int64_t documents, bool shuffle);

  int64_t size() const { return static_cast<int64_t>(start_offset_.size()); }  // samples, >= the requested ones
  int64_t epochs() const { return epochs_; }
  bool separate_last_epoch() const { return separate_; }  // the last epoch is shuffled on its own
  size_t memory_bytes() const;

  // The sample that item j of the dataset is; 0 <= item < size().
  int64_t sample(int64_t item) const;
  // Replaces `pieces` with the places of the item's sequence_length + 1 tokens; neighbours in the file are joined.
  void pieces(int64_t item, std::vector<TokenPiece>& pieces) const;

 private:
  int64_t document_at(int64_t position) const;
  void order_documents(class NumpyRandom& random);
  void place_samples(int64_t samples);
  void shuffle_samples(class NumpyRandom& random, int64_t in_full_epochs);

  std::span<const int64_t> begins_;
  int64_t sequence_length_;
  bool shuffled_;
  int64_t epochs_ = 1;
  bool separate_ = false;
  std::vector<int32_t> documents_;       // (documents * epochs), empty in file order
  std::vector<int64_t> start_position_;  // (samples) place in the row of documents
  std::vector<int32_t> start_offset_;    // (samples) token within that document
  std::vector<uint32_t> shuffle32_;      // (samples), one of these two, both empty in file order
  std::vector<int64_t> shuffle64_;
};

}  // namespace timetrial
