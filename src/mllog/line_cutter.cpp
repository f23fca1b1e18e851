// The search for the last token, and lines that lie across pieces.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/line_cutter.h"

#include <bit>
#include <cstring>

namespace timetrial::mllog {

namespace {

// Of the token's characters the one that other text has least: a search for it seldom stops in vain.
constexpr char kRare = 'G';
constexpr size_t kRareAt = kToken.find(kRare);
static_assert(kRareAt != std::string_view::npos);

// The last kRare in text[0, end), npos when there is none.
size_t last_rare(std::string_view text, size_t end) {
  constexpr uint64_t kOnes = 0x0101010101010101, kRares = kOnes * static_cast<unsigned char>(kRare);
  while (end >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + end - 8, 8);
    word ^= kRares;
    if (((word - kOnes) & ~word & (kOnes * 0x80)) != 0) break;
    end -= 8;
  }
  while (end > 0 && text[end - 1] != kRare) --end;
  return end - 1;  // 0 - 1 is npos
}

}  // namespace

size_t last_token(std::string_view line) {
  size_t end = line.size();
  while (end >= kRareAt + 1) {
    const size_t at = last_rare(line, end);
    if (at == std::string_view::npos || at < kRareAt) return std::string_view::npos;
    const size_t start = at - kRareAt;
    if (line.size() - start >= kToken.size() && std::memcmp(line.data() + start, kToken.data(), kToken.size()) == 0)
      return start;
    end = at;
  }
  return std::string_view::npos;
}

void LineCutter::extend(std::string_view text) {
  if (text.empty()) return;
  at_line_start_ = false;
  // A token may have begun in what was kept before.
  const size_t from = kept_.size() - std::min(kept_.size(), kToken.size() - 1);
  kept_ += text;
  const size_t token = last_token(std::string_view(kept_).substr(from));
  if (token != std::string_view::npos) {
    kept_.erase(0, from + token);
    has_token_ = true;
    skipping_ = false;
  } else if (!has_token_ || skipping_) {
    kept_.erase(0, kept_.size() - std::min(kept_.size(), kToken.size() - 1));
  } else if (kept_.size() - kToken.size() > kLongestRecord) {
    skipping_ = true;
    kept_.erase(0, kept_.size() - (kToken.size() - 1));
  }
}

}  // namespace timetrial::mllog
