// Which documents are validation, and a bounded sample of the others for a tokenizer to learn from.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace timetrial {

// `held` of `total` documents, evenly spread over the corpus whatever its order is.
struct HeldOut {
  int64_t held = 0, total = 1;
  bool operator()(int64_t document) const {
    const int64_t i = document % total;  // the pattern repeats, and the products stay small
    return (i + 1) * held / total > i * held / total;
  }
};

// Keeps every k-th document, k a power of two that grows as the corpus does: at most `budget` bytes, spread evenly.
class TextSample {
 public:
  explicit TextSample(int64_t budget) : budget_(budget) {}
  void add(int64_t document, const std::string& text);
  // The texts in their order, without the held-out ones.
  std::vector<std::string> take(const HeldOut& held_out);

 private:
  int64_t budget_, bytes_ = 0, stride_ = 1;
  std::vector<std::pair<int64_t, std::string>> kept_;
};

}  // namespace timetrial
