// Text to token ids and back: raw bytes, or a SentencePiece model that is given or trained here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial {

// Immutable; all members are thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string_view kind() const = 0;  // "bytes" or "sentencepiece"
  virtual int64_t vocabulary() const = 0;     // ids are in [0, vocabulary())
  // Appends the ids of the text; neither a beginning nor an end is marked.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;
  // The text of the ids; ids outside the vocabulary are a DataError.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  virtual std::optional<int32_t> end_of_document() const = 0;  // the id that may follow a document, if there is one
  virtual std::optional<int32_t> unknown() const = 0;          // the id that stands for what the others cannot say
  virtual std::string_view model() const = 0;                  // the model file's bytes; empty for raw bytes
};

// Id = byte value, 256 ids. With an end-of-document id (256) there are 257.
std::unique_ptr<Tokenizer> make_byte_tokenizer(bool with_end_of_document = false);

// `model` is a SentencePiece model file's content, `origin` its name for errors. DataError when it is none.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(std::string model, const std::string& origin);
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::string& path);

enum class SentencePieceType { bpe, unigram };
std::string_view name_of(SentencePieceType type);  // "bpe", "unigram"

struct SentencePieceTraining {
  SentencePieceType type = SentencePieceType::bpe;
  int64_t vocabulary;
  std::vector<std::string> texts;  // all of it is learnt from: choose a sample of a few MB
};

// The bytes of a model that gives any valid UTF-8 text back unchanged (no normalisation, no added or dropped spaces,
// unknown characters as bytes); only U+2581, SentencePiece's own mark for a space, comes back as a space. The same
// texts give the same bytes. Throws UserError when SentencePiece cannot make that many ids of these texts.
std::string train_sentencepiece(const SentencePieceTraining& training);

}  // namespace timetrial
