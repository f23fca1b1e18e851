// What counts as a document, and which documents are taken: the settings of `timetrial data prepare` about text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial {

enum class TextFormat {
  automatic,   // json_lines for names ending in .jsonl or .ndjson (and .gz after it), else plain
  plain,       // DocumentBreak says where documents end
  json_lines,  // one JSON object per line; one of its fields is the text
};

enum class DocumentBreak {
  blank_line,  // paragraphs: one or more blank lines separate documents
  heading,     // as blank_line, but only before a line that starts in column 1: dictionaries, indented entries
  line,        // each line that is not blank
  file,        // each file
};

std::string_view name_of(TextFormat format);        // "auto", "text", "jsonl"
std::string_view name_of(DocumentBreak separator);  // "blank-line", "heading", "line", "file"

// In plain text, CRLF is read as LF. A document of `blank_line`, `heading` or `file` keeps all its line ends, the last
// one too, but no blank lines at its begin and end; one of `line` has none. Lines of white space alone are blank.
struct DocumentSpec {
  std::vector<std::string> inputs = {};  // plain or gzip-compressed, read in this order; no document spans two
  TextFormat format = TextFormat::automatic;
  DocumentBreak separator = DocumentBreak::blank_line;
  std::string text_field = "text";     // of JSON lines
  int64_t longest_bytes = 64 << 20;    // a longer document is an error, because one is held in memory
  int64_t skip_documents = 0;          // leave out the first ones (a preface, a licence)
  int64_t keep_every = 1;              // then take one of so many, evenly spread
  int64_t shortest_bytes = 1;          // then leave out shorter ones; empty ones are always left out
  int64_t most_documents = INT64_MAX;  // then stop after so many
  int64_t most_bytes = INT64_MAX;      // and before the text would have more bytes than this
};

// What happened to the documents that were read.
struct DocumentCounts {
  int64_t read = 0, skipped = 0, thinned = 0, empty = 0, short_ones = 0, taken = 0;
  int64_t taken_bytes = 0;
  bool limited = false;  // stopped by most_documents or most_bytes
};

}  // namespace timetrial
