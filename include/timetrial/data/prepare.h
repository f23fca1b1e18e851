// Text to token files: what `timetrial data prepare` does.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "timetrial/data/documents.h"
#include "timetrial/data/indexed_tokens.h"

namespace timetrial {

enum class TokenizerChoice { bytes, bpe, unigram, model };
std::string_view name_of(TokenizerChoice choice);  // "bytes", "bpe", "unigram", "model"

struct PrepareSpec {
  DocumentSpec documents;
  std::string output;  // PREFIX
  TokenizerChoice tokenizer = TokenizerChoice::bpe;
  std::string model_file = {};  // for `model`: a SentencePiece model
  int64_t vocabulary = 32000;   // for `bpe` and `unigram`
  int64_t sample_bytes =
      2 << 20;  // the most text that a tokenizer is trained on, spread evenly over the training documents
  bool append_end_of_document = false;
  // One of these says how much is held out, evenly spread: with V of T documents, document i is held out when
  // (i + 1) V / T > i V / T in whole numbers. 0 documents: by fraction (in millionths).
  double validation_fraction = 0.01;
  int64_t validation_documents = 0;
  int threads = 0;  // for encoding; 0: as many as the machine has. The outcome does not depend on it.
};

struct PreparedSplit {
  std::string prefix;  // PREFIX-train, PREFIX-validation
  int64_t documents = 0, tokens = 0, text_bytes = 0;
  std::string bin_hash;  // XXH3 of the .bin
};

struct PrepareReport {
  DocumentCounts documents;
  PreparedSplit train, validation;  // validation.prefix is empty when nothing is held out
  int64_t vocabulary = 0;
  TokenType token_type = TokenType::u16;
  int64_t sample_bytes = 0;       // trained on
  int64_t invalid_documents = 0;  // not valid UTF-8: SentencePiece replaced the wrong bytes by U+FFFD
  int64_t unknown_tokens = 0;     // text that a given model has no id for
  int64_t tokenless = 0;          // documents that a given model makes no token of; left out
  double scan_seconds = 0, train_seconds = 0, encode_seconds = 0;
};

// What became of the documents read, under the names that the manifest and `data prepare --json` share.
nlohmann::ordered_json documents_json(const PrepareReport& report);

struct PrepareProgress {
  enum class Phase { scan, train, encode } phase;
  double fraction;     // of the input read; 0 while a tokenizer is trained
  int64_t text_bytes;  // taken so far
};

// Writes PREFIX-train.{bin,idx}, PREFIX-validation.{bin,idx}, PREFIX.model (unless the tokenizer is bytes) and, last,
// PREFIX.json: the manifest with sources, hashes, counts and settings. The same inputs and settings give the same
// bytes. Nothing appears under its final name before all of it is complete; existing files are refused. The text is
// read once, or twice where a tokenizer is trained or validation documents are counted. Memory: about 64 MB and the
// sample, 4 bytes per document, and a document at its longest per thread. Throws UserError or DataError.
PrepareReport prepare_data(const PrepareSpec& spec, const std::function<void(const PrepareProgress&)>& progress = {});

}  // namespace timetrial
