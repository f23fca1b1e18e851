// LineCutter: cuts text that arrives in pieces into lines, and lines at their last record token.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {

// The place of the last token (its blank included) in `line`; npos when there is none. Searches from the end, so that
// the time is linear in the line's length.
size_t last_token(std::string_view line);

// A record that does not fit into this is not kept.
inline constexpr size_t kLongestRecord = size_t{1} << 26;

// Takes pieces of a file in order. Lines inside one piece are not copied; of a line that lies across pieces, only what
// follows its last token so far is kept. CR, LF and CRLF end lines for records; line numbers count line feeds.
class LineCutter {
 public:
  // `record(line, text, complete)` is called for each line with a token: its 1-based number, what follows the token,
  // and whether a line end follows. `too_long(line)` is called for one whose record is longer than kLongestRecord.
  template <class OnRecord, class OnTooLong>
  void add(std::string_view piece, const OnRecord& record, const OnTooLong& too_long) {
    has_nul_ = has_nul_ || piece.find('\0') != std::string_view::npos;
    const bool has_return = piece.find('\r') != std::string_view::npos;
    size_t feed = piece.find('\n');
    for (size_t at = 0; at < piece.size();) {
      if (feed != std::string_view::npos && feed < at) feed = piece.find('\n', at);
      size_t end = feed;
      if (has_return) end = std::min(end, piece.substr(0, feed).find('\r', at));
      if (end == std::string_view::npos) return extend(piece.substr(at));
      const std::string_view text = piece.substr(at, end - at);
      if (kept_.empty()) {
        const size_t token = last_token(text);
        if (token != std::string_view::npos) record(line_, text.substr(token + kToken.size()), true);
      } else {
        extend(text);
        finish(true, record, too_long);
      }
      at_line_start_ = piece[end] == '\n';
      if (at_line_start_) ++line_;
      at = end + 1;
    }
  }

  // After the last piece.
  template <class OnRecord, class OnTooLong>
  void end(const OnRecord& record, const OnTooLong& too_long) {
    finish(false, record, too_long);
  }

  // Lines so far, the unfinished one included.
  int64_t lines() const { return line_ - (at_line_start_ ? 1 : 0); }
  bool has_nul() const { return has_nul_; }

 private:
  // More of the current line.
  void extend(std::string_view text);

  template <class OnRecord, class OnTooLong>
  void finish(bool complete, const OnRecord& record, const OnTooLong& too_long) {
    if (has_token_ && skipping_) too_long(line_);
    if (has_token_ && !skipping_) record(line_, std::string_view(kept_).substr(kToken.size()), complete);
    kept_.clear();
    has_token_ = skipping_ = false;
  }

  int64_t line_ = 1;
  std::string kept_;           // of the current line, from its last token on if it has one
  bool has_token_ = false;     // kept_ begins with the token
  bool skipping_ = false;      // the record is too long: kept_ holds the line's last bytes only
  bool at_line_start_ = true;  // nothing of line_ was seen
  bool has_nul_ = false;
};

}  // namespace timetrial::mllog
