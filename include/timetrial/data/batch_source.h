// What the trainer knows of data: token rows, step after step, for one rank; where they come from is somebody else's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace timetrial {

// One step's rows of this rank, its micro batches one after another. row_length = sequence_length + 1: the inputs of a
// row are [0, s), its labels [1, s].
struct HostBatch {
  std::vector<int32_t> tokens;  // (rows, row_length) row-major
  int64_t rows = 0;
  int64_t row_length = 0;
};

// A stream of batches. One thread calls next(); a source may read ahead on a thread of its own.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Blocks until the next step's rows are there. The reference is valid until the next call. Throws DataError, also for
  // what the reading thread met. Asking for more batches than there are is a bug of the caller (Error).
  virtual const HostBatch& next() = 0;
};

// Makes sources. Making a provider reads only .idx files; opening a source starts to read .bin, so the run's clock can
// start in between (mlperf-rules.md section 6: the timed region begins before the first training byte is touched).
class DataProvider {
 public:
  virtual ~DataProvider() = default;
  virtual std::unique_ptr<BatchSource> training() = 0;
  virtual std::unique_ptr<BatchSource> evaluation() = 0;  // the next evaluation: its samples from the first one on
  virtual int64_t training_samples() const = 0;           // over all ranks
  virtual int64_t evaluation_samples() const = 0;         // of one evaluation, over all ranks
};

}  // namespace timetrial
