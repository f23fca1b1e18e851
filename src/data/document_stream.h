// The documents of a list of files, one after another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/text_reader.h"
#include "timetrial/data/documents.h"

namespace timetrial {

struct SourceFile {
  std::string path;
  int64_t bytes = 0, bytes_read = 0;
  std::string hash;  // XXH3 of the bytes read
};

// One thread. Memory: one document.
class DocumentStream {
 public:
  explicit DocumentStream(const DocumentSpec& spec);  // DataError when a file is missing

  // The next document that the settings take; false at the end. Throws DataError naming file and line.
  bool next(std::string& document);

  const DocumentCounts& counts() const { return counts_; }
  double fraction() const;  // of the bytes on disk that has been read
  std::vector<SourceFile> sources() const;

 private:
  bool next_raw(std::string& document);
  bool next_plain(std::string& document);
  bool next_json(std::string& document);
  bool open_next();
  void append_line(std::string& document);
  void close();

  DocumentSpec spec_;
  DocumentCounts counts_;
  std::unique_ptr<TextReader> reader_;
  size_t next_input_ = 0;
  int64_t eligible_ = 0;  // documents after skipping: keep_every counts these
  std::string line_;
  bool line_waits_ = false;  // line_ starts the next document
  std::vector<SourceFile> done_;
  int64_t bytes_total_ = 0, bytes_done_ = 0;
};

}  // namespace timetrial
