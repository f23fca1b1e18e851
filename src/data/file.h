// Files as the data layer needs them: positioned reads that name what went wrong, and outputs that appear whole or not
// at all. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial {

// A file open for reading. Throws DataError naming the file. Reads are thread-safe (pread).
class InputFile {
 public:
  explicit InputFile(const std::string& path);  // opens and stats; reads nothing
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // bytes, when it was opened
  // Reads up to `count` bytes at `offset`; fewer only at the end of the file.
  size_t read_up_to(int64_t offset, void* to, size_t count) const;
  // Reads exactly `count` bytes; a file that ends earlier has shrunk since it was opened: DataError with both sizes.
  void read(int64_t offset, void* to, size_t count) const;

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

// A file written under PATH.partial and renamed to PATH by publish(), so that a killed program leaves nothing under the
// final name. Refuses a PATH that exists, and a PATH.partial that another process is writing. One thread.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();  // unpublished: the partial file is removed
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void append(const void* data, size_t count);
  void append(std::string_view text) { append(text.data(), text.size()); }
  void close();    // all bytes on disk, still under the partial name
  void publish();  // close() and rename
  int64_t size() const { return size_; }

 private:
  void flush();

  std::string path_, partial_;
  int fd_ = -1;
  int64_t size_ = 0;
  std::vector<char> buffer_;
  bool published_ = false;
};

}  // namespace timetrial
