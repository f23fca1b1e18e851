// Encoding and decoding with a SentencePiece model.
// SPDX-License-Identifier: Apache-2.0
#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "data/file.h"
#include "data/sentencepiece_charsmap.h"
#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string model, const std::string& origin) : model_(std::move(model)), origin_(origin) {
    if (!load()) throw DataError(origin, "is no SentencePiece model; give a tokenizer.model file");
    line_wise_ = lines_are_independent();
  }

  std::string_view kind() const override { return "sentencepiece"; }
  int64_t vocabulary() const override { return processor_.GetPieceSize(); }

  void encode(std::string_view text, std::vector<int32_t>& ids) const override {
    if (!line_wise_) return append_encoded(text, ids);
    // Work and memory of a BPE encoder grow faster than the text's length, and lines are short.
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
      append_encoded(text.substr(begin, end - begin), ids);
      ids.insert(ids.end(), newline_.begin(), newline_.end());
    }
    append_encoded(text.substr(begin), ids);
  }

  std::string decode(std::span<const int32_t> ids) const override {
    for (const int32_t id : ids) {
      if (id >= 0 && id < vocabulary()) continue;
      throw DataError(origin_, fmt::format("has {} ids and cannot decode id {}; give the tokenizer that the file was "
                                           "prepared with",
                                           vocabulary(), id));
    }
    std::string text;
    const auto status = processor_.Decode(std::vector<int>(ids.begin(), ids.end()), &text);
    if (!status.ok()) refuse("decode", status.ToString());
    return text;
  }

  std::optional<int32_t> end_of_document() const override {
    const int id = processor_.eos_id();
    return id < 0 ? std::nullopt : std::optional<int32_t>(id);
  }
  std::optional<int32_t> unknown() const override {
    const int id = processor_.unk_id();
    return id < 0 ? std::nullopt : std::optional<int32_t>(id);
  }
  std::string_view model() const override { return model_; }

 private:
  // False for bytes that are no model. The library returns a status for most of them and throws for some; through a
  // damaged normalisation table it would read outside its memory.
  bool load() {
    if (!charsmaps_are_sound(model_)) return false;
    try {
      return processor_.LoadFromSerializedProto(model_).ok() && processor_.GetPieceSize() > 0;
    } catch (const std::exception&) {
      return false;
    }
  }

  [[noreturn]] void refuse(const char* action, std::string why) const {
    std::replace(why.begin(), why.end(), '\n', ' ');
    throw DataError(origin_, fmt::format("is a damaged SentencePiece model: it cannot {} ({}); copy it again, or train "
                                         "another",
                                         action, why));
  }

  void append_encoded(std::string_view text, std::vector<int32_t>& ids) const {
    if (text.empty()) return;
    std::vector<int> encoded;
    const auto status = processor_.Encode({text.data(), text.size()}, &encoded);
    if (!status.ok()) refuse("encode", status.ToString());
    ids.insert(ids.end(), encoded.begin(), encoded.end());
  }

  // True for a model whose pieces hold no line end and that neither adds nor drops anything at the ends of a text: then
  // a text's ids are its lines' ids with the line end's between them.
  bool lines_are_independent() {
    for (int id = 0; id < processor_.GetPieceSize(); ++id) {
      if (processor_.IdToPiece(id).find('\n') != std::string::npos) return false;
    }
    append_encoded("\n", newline_);
    const auto encoded = [this](std::string_view text) {
      std::vector<int32_t> ids;
      append_encoded(text, ids);
      return ids;
    };
    for (const auto& [left, right] :
         {std::pair{"a", "a"}, {" a ", " a "}, {"  ", "  "}, {"\n", "\n"}, {"e", "\u0301"}}) {
      std::vector<int32_t> joined = encoded(left);
      joined.insert(joined.end(), newline_.begin(), newline_.end());
      const std::vector<int32_t> rest = encoded(right);
      joined.insert(joined.end(), rest.begin(), rest.end());
      if (joined != encoded(std::string(left) + "\n" + right)) return false;
    }
    return true;
  }

  std::string model_, origin_;
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<int32_t> newline_;
  bool line_wise_ = false;
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(std::string model, const std::string& origin) {
  return std::make_unique<SentencePieceTokenizer>(std::move(model), origin);
}

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::string& path) {
  constexpr int64_t kLargest = int64_t{1} << 30;  // the largest published models have a few MB
  const InputFile file(path);
  if (file.size() > kLargest) {
    throw DataError(path, fmt::format("has {} bytes, no SentencePiece model is that large; give a tokenizer.model file",
                                      file.size()));
  }
  std::string model(static_cast<size_t>(file.size()), '\0');
  file.read(0, model.data(), model.size());
  return make_sentencepiece_tokenizer(std::move(model), path);
}

}  // namespace timetrial
