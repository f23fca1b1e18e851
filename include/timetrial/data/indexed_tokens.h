// Token files: PREFIX.idx says where each document lies in PREFIX.bin (workloads.md section 9.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial {

class InputFile;

// How a token id is stored; the values are the codes of the .idx header (byte 17).
enum class TokenType : uint8_t { u8 = 1, i32 = 4, u16 = 8 };

size_t bytes_of(TokenType type);
std::string_view name_of(TokenType type);            // "u8", "u16", "i32"
TokenType token_type_for(int64_t vocabulary);        // u16 below 65500 ids, else i32 (section 9.1)
std::string idx_path_of(const std::string& prefix);  // PREFIX.idx
std::string bin_path_of(const std::string& prefix);  // PREFIX.bin

// What the head of PREFIX.idx and the length of PREFIX.bin say; the rest of the index is not read.
struct TokenFileSize {
  int64_t documents, tokens;
};
// Throws DataError for a file that is not there or whose head does not fit.
TokenFileSize token_file_size(const std::string& prefix);

// A token file open for reading. The index is read and checked completely; of PREFIX.bin only the size is looked at
// until read() is called, so that a run may open its data before its clock starts. Nothing is mapped: memory is 8 bytes
// per document, whatever the size of PREFIX.bin. All members are thread-safe.
class IndexedTokens {
 public:
  // Throws DataError naming the file, with both numbers, for anything that does not fit: magic, version, token type,
  // counts against the file's size, offsets against lengths, the document index, the size of PREFIX.bin.
  explicit IndexedTokens(const std::string& prefix);
  ~IndexedTokens();
  IndexedTokens(const IndexedTokens&) = delete;
  IndexedTokens& operator=(const IndexedTokens&) = delete;

  const std::string& prefix() const { return prefix_; }
  std::string bin_path() const { return bin_path_of(prefix_); }
  TokenType token_type() const { return type_; }
  // Sequences of the index; the sample order takes each one as a document.
  int64_t documents() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int64_t tokens() const { return begins_.back(); }
  // (documents + 1) token offsets: document d is tokens [begins[d], begins[d + 1]).
  std::span<const int64_t> document_begins() const { return begins_; }
  // The document that holds this token; 0 <= token < tokens().
  int64_t document_at(int64_t token) const;

  // Reads out.size() tokens from token `first` on. Throws DataError when PREFIX.bin ends early: it shrank while in use.
  void read(int64_t first, std::span<int32_t> out) const;

 private:
  std::string prefix_;
  TokenType type_ = TokenType::u16;
  std::vector<int64_t> begins_;
  std::unique_ptr<InputFile> bin_;
};

// Writes a token file, document by document. Everything goes to PREFIX.bin.partial and PREFIX.idx.partial; finish()
// gives them their names, .idx last. An existing PREFIX.bin or PREFIX.idx is refused. Memory: 4 bytes per document. One
// thread.
class IndexedTokensWriter {
 public:
  IndexedTokensWriter(const std::string& prefix, TokenType type);
  ~IndexedTokensWriter();  // unfinished: nothing is left behind
  IndexedTokensWriter(const IndexedTokensWriter&) = delete;
  IndexedTokensWriter& operator=(const IndexedTokensWriter&) = delete;

  // One document, which may be empty. An id that the token type cannot hold is a bug of the caller (Error).
  void add(std::span<const int32_t> tokens);
  void close();   // the index is written, all bytes are on disk, still under the partial names
  void finish();  // close() and the final names

  int64_t documents() const;
  int64_t tokens() const;
  std::string bin_hash() const;  // 32 hexadecimal digits: xxHash (XXH3, 128 bit) of the .bin bytes written so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace timetrial
