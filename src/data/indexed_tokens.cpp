// Reads token files: the index is validated field by field, tokens come by pread and are widened in place.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/indexed_tokens.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "data/file.h"
#include "data/idx_format.h"
#include "timetrial/base/error.h"

namespace timetrial {

static_assert(std::endian::native == std::endian::little, "token files are little-endian and read as they lie");

namespace {

constexpr int64_t kBlockEntries = 1 << 16;

template <class T>
T field(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Calls visit(index, value) for `count` entries of type T that start at byte `offset`.
template <class T, class Visit>
void for_each_entry(const InputFile& file, int64_t offset, int64_t count, Visit visit) {
  std::vector<T> block(static_cast<size_t>(std::min(count, kBlockEntries)));
  for (int64_t first = 0; first < count; first += kBlockEntries) {
    const int64_t n = std::min(kBlockEntries, count - first);
    file.read(offset + first * static_cast<int64_t>(sizeof(T)), block.data(), static_cast<size_t>(n) * sizeof(T));
    for (int64_t i = 0; i < n; ++i) visit(first + i, block[static_cast<size_t>(i)]);
  }
}

struct Header {
  TokenType type;
  int64_t sequences, document_entries;
};

TokenType token_type_of_code(const std::string& path, int code) {
  static constexpr const char* kNames[] = {"none", "u8", "i8", "i16", "i32", "i64", "f64", "f32", "u16"};
  if (code == 1) return TokenType::u8;
  if (code == 4) return TokenType::i32;
  if (code == 8) return TokenType::u16;
  throw DataError(path, fmt::format("its token type has code {} ({}), this program reads 1 (u8), 4 (i32) and 8 (u16); "
                                    "prepare the data again with one of these",
                                    code, code > 0 && code < 9 ? kNames[code] : "unknown"));
}

Header read_header(const InputFile& idx) {
  unsigned char bytes[idx_format::kHeaderBytes];
  if (idx.size() < idx_format::kHeaderBytes) {
    throw DataError(idx.path(),
                    fmt::format("has {} bytes, an index has at least {}; it is truncated or no index, copy or "
                                "prepare it again",
                                idx.size(), idx_format::kHeaderBytes));
  }
  idx.read(0, bytes, sizeof(bytes));
  if (std::memcmp(bytes, idx_format::kMagic, sizeof(idx_format::kMagic)) != 0) {
    throw DataError(idx.path(),
                    "does not start with MMIDIDX and two zero bytes, so it is no token index; give the prefix "
                    "of a file made by `timetrial data prepare`");
  }
  const auto version = field<uint64_t>(bytes + 9);
  if (version != idx_format::kVersion) {
    throw DataError(idx.path(), fmt::format("has version {}, this program reads version {}; prepare the data again",
                                            version, idx_format::kVersion));
  }
  const auto sequences = field<uint64_t>(bytes + 18);
  const auto entries = field<uint64_t>(bytes + 26);
  const TokenType type = token_type_of_code(idx.path(), bytes[17]);
  // Bounds each count by the size before they are multiplied, so that a wild value cannot wrap round.
  const auto size = static_cast<uint64_t>(idx.size());
  if (sequences > size || entries > size || size != idx_format::kHeaderBytes + 12 * sequences + 8 * entries) {
    throw DataError(
        idx.path(),
        fmt::format("has {} bytes, but its header announces {} sequences and {} document entries, that is 34 + "
                    "12 x {} + 8 x {} bytes; it is truncated or damaged, copy or prepare it again",
                    size, sequences, entries, sequences, entries));
  }
  if (sequences > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    throw DataError(idx.path(), fmt::format("has {} sequences, the sample order counts at most {}; split the file",
                                            sequences, std::numeric_limits<int32_t>::max()));
  }
  return {type, static_cast<int64_t>(sequences), static_cast<int64_t>(entries)};
}

std::vector<int64_t> read_begins(const InputFile& idx, const Header& header) {
  std::vector<int64_t> begins(static_cast<size_t>(header.sequences) + 1, 0);
  const auto item = static_cast<int64_t>(bytes_of(header.type));
  for_each_entry<int32_t>(idx, idx_format::kHeaderBytes, header.sequences, [&](int64_t i, int32_t length) {
    if (length < 0) {
      throw DataError(idx.path(),
                      fmt::format("sequence {} has length {}, lengths are 0 or more; the file is damaged, copy or "
                                  "prepare it again",
                                  i, length));
    }
    begins[static_cast<size_t>(i) + 1] = begins[static_cast<size_t>(i)] + length;
  });
  for_each_entry<int64_t>(
      idx, idx_format::kHeaderBytes + 4 * header.sequences, header.sequences, [&](int64_t i, int64_t offset) {
        const int64_t expected = begins[static_cast<size_t>(i)] * item;
        if (offset != expected) {
          throw DataError(
              idx.path(),
              fmt::format("sequence {} starts at byte {} by its offset but at byte {} by the lengths before "
                          "it; the file is damaged, copy or prepare it again",
                          i, offset, expected));
        }
      });
  return begins;
}

void check_document_index(const InputFile& idx, const Header& header) {
  int64_t last = -1;
  const auto damaged = [&](int64_t entry, int64_t value, const std::string& wanted) {
    throw DataError(idx.path(),
                    fmt::format("document entry {} is {}, it must be {}; the file is damaged, copy or prepare it again",
                                entry, value, wanted));
  };
  if (header.document_entries < 1) {
    throw DataError(idx.path(),
                    "has no document entry, an index has at least 1; the file is damaged, prepare it again");
  }
  for_each_entry<int64_t>(idx, idx_format::kHeaderBytes + 12 * header.sequences, header.document_entries,
                          [&](int64_t i, int64_t value) {
                            if (i == 0 && value != 0) damaged(i, value, "0");
                            if (value < last) damaged(i, value, fmt::format("at least {}, the one before it", last));
                            if (value > header.sequences)
                              damaged(i, value, fmt::format("at most {}", header.sequences));
                            last = value;
                          });
  if (last != header.sequences) {
    damaged(header.document_entries - 1, last, fmt::format("{}, the number of sequences", header.sequences));
  }
}

template <class T>
void widen_in_place(std::span<int32_t> out) {
  // The narrow values lie at the end of the buffer; value i is read before anything is written over it, because
  // 4 (i + 1) <= (4 - sizeof(T)) n + sizeof(T) (i + 1) for every i < n.
  const char* from = reinterpret_cast<const char*>(out.data() + out.size()) - out.size() * sizeof(T);
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    out[i] = value;
  }
}

}  // namespace

size_t bytes_of(TokenType type) {
  switch (type) {
    case TokenType::u8:
      return 1;
    case TokenType::u16:
      return 2;
    case TokenType::i32:
      return 4;
  }
  throw Error(fmt::format("unknown token type {}", static_cast<int>(type)));
}

std::string_view name_of(TokenType type) {
  switch (type) {
    case TokenType::u8:
      return "u8";
    case TokenType::u16:
      return "u16";
    case TokenType::i32:
      return "i32";
  }
  throw Error(fmt::format("unknown token type {}", static_cast<int>(type)));
}

TokenType token_type_for(int64_t vocabulary) { return vocabulary < 65500 ? TokenType::u16 : TokenType::i32; }
std::string idx_path_of(const std::string& prefix) { return prefix + ".idx"; }
std::string bin_path_of(const std::string& prefix) { return prefix + ".bin"; }

TokenFileSize token_file_size(const std::string& prefix) {
  const Header header = read_header(InputFile(idx_path_of(prefix)));
  return {.documents = header.sequences,
          .tokens = InputFile(bin_path_of(prefix)).size() / static_cast<int64_t>(bytes_of(header.type))};
}

IndexedTokens::IndexedTokens(const std::string& prefix) : prefix_(prefix) {
  const InputFile idx(idx_path_of(prefix));
  const Header header = read_header(idx);
  type_ = header.type;
  begins_ = read_begins(idx, header);
  check_document_index(idx, header);
  bin_ = std::make_unique<InputFile>(bin_path());
  const int64_t expected = tokens() * static_cast<int64_t>(bytes_of(type_));
  if (bin_->size() != expected) {
    throw DataError(bin_path(),
                    fmt::format("has {} bytes, its index {} says {} ({} tokens of {}); the pair does not belong "
                                "together or a copy was cut short, copy or prepare both again",
                                bin_->size(), idx.path(), expected, tokens(), name_of(type_)));
  }
}

IndexedTokens::~IndexedTokens() = default;

int64_t IndexedTokens::document_at(int64_t token) const {
  TIMETRIAL_CHECK(token >= 0 && token < tokens(), "token {} of {}", token, tokens());
  return std::upper_bound(begins_.begin(), begins_.end(), token) - begins_.begin() - 1;
}

void IndexedTokens::read(int64_t first, std::span<int32_t> out) const {
  const auto count = static_cast<int64_t>(out.size());
  TIMETRIAL_CHECK(first >= 0 && count <= tokens() - first, "tokens [{}, {}) of {}", first, first + count, tokens());
  const size_t item = bytes_of(type_);
  char* end = reinterpret_cast<char*>(out.data() + out.size());
  bin_->read(first * static_cast<int64_t>(item), end - out.size() * item, out.size() * item);
  if (type_ == TokenType::u8) widen_in_place<uint8_t>(out);
  if (type_ == TokenType::u16) widen_in_place<uint16_t>(out);
}

}  // namespace timetrial
