// Models with a normalisation table: the library's own tables load and normalise, damaged ones are refused before the
// library walks them.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sentencepiece_trainer.h>

#include "data/token_files.h"
#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::message_of;

// A sentence again and again, each time with another letter of the alphabet behind it.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  bool done() const override { return letter_ > 'z'; }
  void Next() override { sentence_.back() = ++letter_; }
  const std::string& value() const override { return sentence_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  char letter_ = 'a';
  std::string sentence_ = "a fine file of office a";
};

std::string trained_with(const std::string& rule) {
  Sentences sentences;
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train({{"model_type", "char"},
                                                                  {"vocab_size", "40"},
                                                                  {"hard_vocab_limit", "false"},
                                                                  {"minloglevel", "2"},
                                                                  {"normalization_rule_name", rule}},
                                                                 &sentences, &model);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return model;
}

std::string length_delimited(int field, const std::string& bytes) {
  std::string message(1, static_cast<char>(field << 3 | 2));
  for (size_t size = bytes.size();; size >>= 7) {
    message += static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
    if (size <= 0x7f) break;
  }
  return message + bytes;
}

std::string words(const std::vector<uint32_t>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(uint32_t)};
}

// A table whose trie has the first units given and is empty beyond them.
std::string table(std::vector<uint32_t> first, const std::string& replacements, size_t units = 256) {
  first.resize(units);
  return words({static_cast<uint32_t>(units * 4)}) + words(first) + replacements;
}

// `model` with its table replaced: of a message given twice, protobuf takes each field's last value.
std::string with_table(const std::string& model, const std::string& table, int spec = 3) {
  return model + length_delimited(spec, length_delimited(2, table));
}

const std::string kEnd(1, '\0');

TEST(NormalisationTable, OfTheLibraryIsTakenAndUsed) {
  for (const std::string rule : {"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"}) {
    const auto tokenizer = make_sentencepiece_tokenizer(trained_with(rule), "test");
    std::vector<int32_t> ligature, letters;
    tokenizer->encode("\ufb01le", ligature);
    tokenizer->encode("file", letters);
    EXPECT_EQ(ligature, letters) << rule;
  }
}

TEST(NormalisationTable, ThatStaysInsideIsTaken) {
  const std::string model = trained_with("identity");
  // "f" becomes "a": the root (unit 0) leads by byte 'f' to unit 'f', whose value is the first replacement.
  std::vector<uint32_t> units(256);
  units['f'] = 'f' | 1U << 8 | (uint32_t{'f' ^ 1} << 10);
  units[1] = 1U << 31;
  for (const std::string& sound : {table({}, kEnd), table(units, "a" + kEnd), table({}, kEnd, 512)}) {
    for (const int spec : {3, 5}) {
      const auto tokenizer = make_sentencepiece_tokenizer(with_table(model, sound, spec), "test");
      std::vector<int32_t> ids, as_a;
      tokenizer->encode("f", ids);
      tokenizer->encode("a", as_a);
      EXPECT_EQ(ids == as_a, spec == 3 && sound == table(units, "a" + kEnd));
    }
  }
}

TEST(NormalisationTable, ThatLeadsOutsideIsRefused) {
  const std::string model = trained_with("identity");
  const uint32_t leads_out = uint32_t{256} << 10, leads_far_out = 1U << 9 | uint32_t{1} << 10;
  const uint32_t value_of_unit_1 = 1U << 8 | uint32_t{1} << 10;
  const std::string damaged[] = {
      table({leads_out}, kEnd),
      table({leads_far_out}, kEnd),
      table({0, 0, 0, leads_out}, kEnd, 256),
      table({1U << 31 | leads_out}, kEnd),                 // the root is entered whatever it is
      table({value_of_unit_1, 1U << 31 | 2}, "a" + kEnd),  // a replacement behind the last
      table({}, "a"),                                      // a replacement without an end
      table({}, ""),                                       // no replacements
      table({}, kEnd, 255),                                // a block of the trie cut short
      table({}, kEnd, 0),
      words({2048}) + std::string(1024, '\0') + kEnd,  // a trie longer than the table
      words({1025}) + std::string(1025, '\0') + kEnd,
      "abc",
  };
  for (const std::string& one : damaged) {
    for (const int spec : {3, 5}) {
      const std::string message =
          message_of<DataError>([&] { make_sentencepiece_tokenizer(with_table(model, one, spec), "my.model"); });
      EXPECT_TRUE(contains(message, "my.model: is no SentencePiece model")) << &one - damaged << ": " << message;
    }
  }
}

TEST(NormalisationTable, InAMessageCutShortIsRefused) {
  const std::string whole = with_table(trained_with("identity"), table({}, kEnd));
  EXPECT_NO_THROW(make_sentencepiece_tokenizer(whole, "test"));
  for (const size_t cut : {1, 2, 500, 1030})
    EXPECT_THROW(make_sentencepiece_tokenizer(whole.substr(0, whole.size() - cut), "test"), DataError) << cut;
  EXPECT_THROW(make_sentencepiece_tokenizer(whole + "\x1b", "test"), DataError);  // opens a group
}

}  // namespace
}  // namespace timetrial
