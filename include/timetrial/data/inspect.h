// What is in a token file: what `timetrial data inspect` prints.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/data/indexed_tokens.h"

namespace timetrial {

struct InspectSpec {
  std::string prefix;           // of one token file; PREFIX.json is found through the ending -train or -validation
  std::string model_file = {};  // a SentencePiece model to decode with; empty: what the manifest names, if there is one
  int64_t vocabulary = 0;       // ids must be below; 0: the tokenizer's
  int samples = 1;              // documents to decode, evenly spread over the file
  bool verify = false;          // read all of PREFIX.bin
};

struct SampledDocument {
  int64_t document, tokens;
  std::vector<int32_t> ids;         // the first ones of it
  std::optional<std::string> text;  // of these ids, if a tokenizer is known
};

struct TokenFileReport {
  std::string prefix;
  TokenType token_type = TokenType::u16;
  int64_t documents = 0, tokens = 0, empty_documents = 0;
  int64_t shortest = 0, longest = 0;  // tokens of a document
  double mean = 0;
  std::string tokenizer;   // where it comes from, or empty
  int64_t vocabulary = 0;  // 0: not known
  std::vector<SampledDocument> samples;
  // Of `verify`:
  bool verified = false;
  int32_t smallest_id = 0, largest_id = 0;
  int64_t distinct_ids = 0;  // of [0, vocabulary); 0 when the vocabulary is not known
  std::string bin_hash;
  bool hash_matches_manifest = false;  // false also when there is no manifest: see manifest_hash
  std::string manifest_hash;
};

// Throws DataError for a file that is not as it should be: IndexedTokens' checks, an id outside the vocabulary (with
// its token position and document), a .bin that is not the one of the manifest. Memory: 8 bytes per document and a few
// MB.
TokenFileReport inspect_tokens(const InspectSpec& spec, const std::function<void(double fraction)>& progress = {});

}  // namespace timetrial
