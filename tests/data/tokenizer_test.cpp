// Tokenizers: what is encoded comes back, training is reproducible, and bad models are refused.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/tokenizer.h"

#include <sentencepiece_processor.h>

#include <random>

#include "data/token_files.h"
#include "timetrial/base/error.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::message_of;

// Words of a made-up language with structure to learn from; the same every time.
std::vector<std::string> made_up_texts(int count) {
  std::mt19937 random(7);
  const char* parts[] = {"ban", "to", "ri", "sel", "mu", "kra", "ne", "vo", "lith", "or"};
  std::vector<std::string> texts;
  for (int t = 0; t < count; ++t) {
    std::string text;
    for (int line = 0; line < 4; ++line) {
      text.append(random() % 4, ' ');
      for (int word = 0; word < 9; ++word) {
        for (uint32_t part = 0; part <= random() % 3; ++part) text += parts[random() % 10];
        text += word == 8 ? ".\n" : " ";
      }
    }
    texts.push_back(text);
  }
  return texts;
}

std::string model_of(SentencePieceType type) {
  return train_sentencepiece({.type = type, .vocabulary = 400, .texts = made_up_texts(300)});
}

const char* const kDifficult[] = {
    "",
    "plain words",
    " leading and trailing ",
    "   \n\n  several   spaces\n and\tlines\r\n",
    "\n",
    "caf\u00e9 \u4e2d\u6587 \U0001f600 \u00bd \ufb01 e\u0301 \u212b",  // what a normaliser would change
    "bantori selmu krane",
    "tab\tzero",
};

TEST(ByteTokens, AreTheBytes) {
  const auto bytes = make_byte_tokenizer();
  EXPECT_EQ(bytes->vocabulary(), 256);
  EXPECT_FALSE(bytes->end_of_document());
  std::vector<int32_t> ids{7};
  bytes->encode(std::string("a\0\xff", 3), ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{7, 97, 0, 255}));
  EXPECT_EQ(bytes->decode(ids), std::string("\x07"
                                            "a\0\xff",
                                            4));
  EXPECT_THROW(bytes->decode(std::vector<int32_t>{256}), DataError);
  const auto with_end = make_byte_tokenizer(true);
  EXPECT_EQ(with_end->vocabulary(), 257);
  EXPECT_EQ(with_end->end_of_document(), 256);
  EXPECT_EQ(with_end->decode(std::vector<int32_t>{97, 256}), "a");
}

class TrainedTokenizer : public ::testing::TestWithParam<SentencePieceType> {};

TEST_P(TrainedTokenizer, GivesEveryTextBack) {
  const auto tokenizer = make_sentencepiece_tokenizer(model_of(GetParam()), "test");
  EXPECT_EQ(tokenizer->vocabulary(), 400);
  EXPECT_EQ(tokenizer->end_of_document(), 1);
  for (const std::string text : kDifficult) {
    std::vector<int32_t> ids;
    tokenizer->encode(text, ids);
    EXPECT_EQ(tokenizer->decode(ids), text);
    for (const int32_t id : ids) EXPECT_NE(id, *tokenizer->unknown());
  }
  for (const std::string& text : made_up_texts(20)) {
    std::vector<int32_t> ids;
    tokenizer->encode(text, ids);
    EXPECT_EQ(tokenizer->decode(ids), text);
    EXPECT_LT(ids.size(), text.size() * 2 / 3);  // it has learnt something
  }
}

// Lines are encoded one by one; the outcome must be what the model gives for the whole text.
TEST_P(TrainedTokenizer, LineByLineEqualsTheWhole) {
  const std::string model = model_of(GetParam());
  const auto tokenizer = make_sentencepiece_tokenizer(model, "test");
  sentencepiece::SentencePieceProcessor whole;
  ASSERT_TRUE(whole.LoadFromSerializedProto(model).ok());
  std::vector<std::string> texts = made_up_texts(50);
  texts.insert(texts.end(), std::begin(kDifficult), std::end(kDifficult));
  for (const std::string& text : texts) {
    std::vector<int32_t> ids;
    tokenizer->encode(text, ids);
    std::vector<int> expected;
    ASSERT_TRUE(whole.Encode(text, &expected).ok());
    EXPECT_EQ(ids, std::vector<int32_t>(expected.begin(), expected.end())) << text;
  }
}

TEST_P(TrainedTokenizer, TrainingTwiceGivesTheSameBytes) { EXPECT_EQ(model_of(GetParam()), model_of(GetParam())); }

TEST_P(TrainedTokenizer, RefusesWhatCannotBeTrained) {
  const auto refusal = [](int64_t vocabulary, std::vector<std::string> texts) {
    return message_of<UserError>(
        [&] { train_sentencepiece({.type = GetParam(), .vocabulary = vocabulary, .texts = texts}); });
  };
  EXPECT_TRUE(contains(refusal(299, made_up_texts(10)), "of 299 ids cannot be trained"));
  EXPECT_TRUE(contains(refusal(400, {}), "there is no text in it"));
  EXPECT_TRUE(contains(refusal(400, {"\n\t\n"}), "there is no text in it"));
  EXPECT_TRUE(contains(refusal(400, {"<unk>\n</s><0x41>", "<0xFF>"}), "there is no text in it"));
  const std::string line = refusal(5000, {"too short to hold so much"});
  EXPECT_TRUE(contains(line, "5000 ids cannot be trained on 25 bytes"));
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

// Tabs, long lines and zero bytes are what the trainer itself would drop without a word.
TEST_P(TrainedTokenizer, LearnsFromTextsTheTrainerWouldDrop) {
  std::string joined;
  for (const std::string& text : made_up_texts(300)) {
    for (const char c : text) joined += c == '\n' ? '\t' : c;
  }
  std::string one_line = joined;
  std::replace(one_line.begin(), one_line.end(), '\t', ' ');
  for (const std::string& text : {joined, one_line}) {
    const auto tokenizer = make_sentencepiece_tokenizer(
        train_sentencepiece({.type = GetParam(), .vocabulary = 400, .texts = {text}}), "test");
    std::vector<int32_t> ids;
    tokenizer->encode("bantori selmu krane volith", ids);
    EXPECT_LT(ids.size(), 16u);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TrainedTokenizer, ::testing::Values(SentencePieceType::bpe, SentencePieceType::unigram),
                         [](const auto& one) { return std::string(name_of(one.param)); });

class TokenizerFile : public testing::Folder {};

TEST_F(TokenizerFile, IsLoadedOrRefused) {
  const std::string model = model_of(SentencePieceType::bpe);
  const auto tokenizer = load_sentencepiece_tokenizer(put("good.model", model));
  EXPECT_EQ(tokenizer->vocabulary(), 400);
  EXPECT_EQ(tokenizer->model(), model);
  EXPECT_TRUE(contains(message_of<DataError>([&] { tokenizer->decode(std::vector<int32_t>{400}); }),
                       "has 400 ids and cannot decode id 400"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_sentencepiece_tokenizer(put("bad.model", "hello")); }),
                       "bad.model: is no"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_sentencepiece_tokenizer(put("empty.model", "")); }),
                       "empty.model: is no"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { load_sentencepiece_tokenizer(path("none.model")); }), "none.model"));
}

}  // namespace
}  // namespace timetrial
