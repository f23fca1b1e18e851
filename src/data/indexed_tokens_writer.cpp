// Writes token files: tokens stream to the .bin, lengths are kept until finish() writes the .idx.
// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>

#include <limits>

#include "data/file.h"
#include "data/hash.h"
#include "data/idx_format.h"
#include "timetrial/base/error.h"
#include "timetrial/data/indexed_tokens.h"

namespace timetrial {

struct IndexedTokensWriter::State {
  State(const std::string& prefix, TokenType token_type)
      : type(token_type), bin(bin_path_of(prefix)), idx(idx_path_of(prefix)) {}

  template <class T>
  void append(std::span<const int32_t> ids) {
    std::vector<T> narrow(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      TIMETRIAL_CHECK(
          ids[i] >= 0 && static_cast<int64_t>(ids[i]) <= static_cast<int64_t>(std::numeric_limits<T>::max()),
          "token id {} does not fit {}", ids[i], name_of(type));
      narrow[i] = static_cast<T>(ids[i]);
    }
    bin.append(narrow.data(), narrow.size() * sizeof(T));
    hash.add(narrow.data(), narrow.size() * sizeof(T));
  }

  TokenType type;
  OutputFile bin, idx;
  StreamHash hash;
  std::vector<int32_t> lengths;
  int64_t tokens = 0;
  bool closed = false;
};

IndexedTokensWriter::IndexedTokensWriter(const std::string& prefix, TokenType type)
    : state_(std::make_unique<State>(prefix, type)) {}

IndexedTokensWriter::~IndexedTokensWriter() = default;

void IndexedTokensWriter::add(std::span<const int32_t> tokens) {
  TIMETRIAL_CHECK(tokens.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), "{} tokens",
                  tokens.size());
  if (state_->lengths.size() == static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw UserError("more than 2147483647 documents in one token file; split the input and prepare it in parts");
  }
  switch (state_->type) {
    case TokenType::u8:
      state_->append<uint8_t>(tokens);
      break;
    case TokenType::u16:
      state_->append<uint16_t>(tokens);
      break;
    case TokenType::i32:
      state_->append<int32_t>(tokens);
      break;
  }
  state_->lengths.push_back(static_cast<int32_t>(tokens.size()));
  state_->tokens += static_cast<int64_t>(tokens.size());
}

void IndexedTokensWriter::close() {
  if (state_->closed) return;
  OutputFile& idx = state_->idx;
  const auto number = [&idx](auto value) { idx.append(&value, sizeof(value)); };
  const auto sequences = static_cast<uint64_t>(state_->lengths.size());
  idx.append(idx_format::kMagic, sizeof(idx_format::kMagic));
  number(idx_format::kVersion);
  number(static_cast<uint8_t>(state_->type));
  number(sequences);
  number(sequences + 1);
  idx.append(state_->lengths.data(), state_->lengths.size() * sizeof(int32_t));
  int64_t offset = 0;
  for (const int32_t length : state_->lengths) {
    number(offset);
    offset += length * static_cast<int64_t>(bytes_of(state_->type));
  }
  for (uint64_t document = 0; document <= sequences; ++document) number(static_cast<int64_t>(document));
  state_->bin.close();
  idx.close();
  state_->closed = true;
}

void IndexedTokensWriter::finish() {
  close();
  state_->bin.publish();
  state_->idx.publish();  // last, because it makes the pair valid
}

int64_t IndexedTokensWriter::documents() const { return static_cast<int64_t>(state_->lengths.size()); }
int64_t IndexedTokensWriter::tokens() const { return state_->tokens; }
std::string IndexedTokensWriter::bin_hash() const { return state_->hash.text(); }

}  // namespace timetrial
