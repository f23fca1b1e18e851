// The tokenizer without a model: one id per byte.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

constexpr int32_t kEnd = 256;

class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(bool with_end) : with_end_(with_end) {}

  std::string_view kind() const override { return "bytes"; }
  int64_t vocabulary() const override { return with_end_ ? kEnd + 1 : kEnd; }

  void encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 0 || id >= vocabulary()) {
        throw DataError("the byte tokenizer", fmt::format("cannot decode id {}, it has {} ids; give the tokenizer that "
                                                          "the file was prepared with",
                                                          id, vocabulary()));
      }
      if (id != kEnd) text.push_back(static_cast<char>(id));
    }
    return text;
  }

  std::optional<int32_t> end_of_document() const override {
    return with_end_ ? std::optional<int32_t>(kEnd) : std::nullopt;
  }
  std::optional<int32_t> unknown() const override { return std::nullopt; }
  std::string_view model() const override { return {}; }

 private:
  bool with_end_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_tokenizer(bool with_end_of_document) {
  return std::make_unique<ByteTokenizer>(with_end_of_document);
}

}  // namespace timetrial
