// Lines of a plain or gzip-compressed file, as a stream.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/hash.h"

struct z_stream_s;

namespace timetrial {

// gzip is recognised by its first two bytes; several members after each other, and extra fields (dictzip), are read as
// one text. One thread. Memory: two blocks of 256 KiB and the longest line.
class TextReader {
 public:
  explicit TextReader(const std::string& path);
  ~TextReader();

  // The next line without its line end (LF or CRLF); false at the end. The last line needs no line end. Throws
  // DataError for a compressed file that is truncated or damaged, and for a line longer than `longest` bytes.
  bool line(std::string& to, size_t longest);

  const std::string& path() const { return file_.path(); }
  int64_t lines() const { return lines_; }           // read so far; the number of the line last returned
  int64_t size() const { return file_.size(); }      // bytes on disk
  int64_t bytes_read() const { return at_; }         // of these
  std::string hash() const { return hash_.text(); }  // XXH3 of the bytes read

 private:
  bool refill();  // more text into text_; false at the end
  size_t read_raw();
  bool inflate_more();
  void start_member();

  InputFile file_;
  int64_t at_ = 0;
  StreamHash hash_;
  std::vector<char> raw_;
  std::vector<char> text_;
  size_t text_at_ = 0, text_end_ = 0;
  std::unique_ptr<z_stream_s> zip_;  // null for plain text
  bool in_member_ = false;
  int64_t lines_ = 0;
};

}  // namespace timetrial
