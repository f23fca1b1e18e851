// Preparation end to end: text in, token files, tokenizer and manifest out, and nothing half done.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/prepare.h"

#include <nlohmann/json.hpp>

#include "data/gzip.h"
#include "data/token_files.h"
#include "timetrial/base/error.h"
#include "timetrial/base/json.h"
#include "timetrial/data/inspect.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::message_of;
using Texts = std::vector<std::string>;

class Prepare : public testing::Folder {
 protected:
  static std::string entry(int i) {
    return fmt::format("Entry {} of the d\u00e9j\u00e0 book\n   the number {} follows {} and is {}\n", i, i, i - 1,
                       i % 2 == 0 ? "even" : "odd");
  }
  static std::string text(int entries) {
    std::string all;
    for (int i = 0; i < entries; ++i) all += entry(i) + "\n";
    return all;
  }
  PrepareSpec spec(const std::string& input, TokenizerChoice tokenizer = TokenizerChoice::bytes) const {
    return {.documents = {.inputs = {input}},
            .output = path("out"),
            .tokenizer = tokenizer,
            .vocabulary = 310,
            .validation_fraction = 0.1};
  }
  static Texts decoded(const std::string& prefix, const Tokenizer& tokenizer) {
    const IndexedTokens tokens(prefix);
    Texts texts;
    for (int64_t d = 0; d < tokens.documents(); ++d) {
      const auto at = tokens.document_begins().subspan(static_cast<size_t>(d), 2);
      std::vector<int32_t> ids(static_cast<size_t>(at[1] - at[0]));
      tokens.read(at[0], ids);
      texts.push_back(tokenizer.decode(ids));
    }
    return texts;
  }
};

TEST_F(Prepare, DocumentsComeBackWithEveryTokenizer) {
  const std::string input = put("b\u00fccher \xfe.txt", text(200));
  put("given.model", train_sentencepiece({.vocabulary = 310, .texts = {text(100)}}));
  for (const TokenizerChoice choice :
       {TokenizerChoice::bytes, TokenizerChoice::bpe, TokenizerChoice::unigram, TokenizerChoice::model}) {
    SCOPED_TRACE(name_of(choice));
    PrepareSpec one = spec(input, choice);
    one.output = path(fmt::format("out \u4e2d {}", name_of(choice)));
    one.model_file = path("given.model");
    const PrepareReport report = prepare_data(one);
    EXPECT_EQ(report.documents.taken, 200);
    EXPECT_EQ(report.invalid_documents, 0);
    const auto tokenizer =
        choice == TokenizerChoice::bytes ? make_byte_tokenizer() : load_sentencepiece_tokenizer(one.output + ".model");
    Texts train, validation;
    for (int i = 0; i < 200; ++i) (i % 10 == 9 ? validation : train).push_back(entry(i));
    EXPECT_EQ(decoded(one.output + "-train", *tokenizer), train);
    EXPECT_EQ(decoded(one.output + "-validation", *tokenizer), validation);
    EXPECT_EQ(report.train.documents, 180);
    EXPECT_EQ(report.validation.documents, 20);
    EXPECT_EQ(report.token_type, TokenType::u16);
    EXPECT_EQ(report.vocabulary, choice == TokenizerChoice::bytes ? 256 : 310);
  }
}

TEST_F(Prepare, SameInputSameBytesWhateverTheThreads) {
  const std::string input = put("in.txt", text(500));
  PrepareSpec one = spec(input, TokenizerChoice::bpe);
  one.threads = 1;
  prepare_data(one);
  PrepareSpec many = one;
  many.output = path("again/out");  // a folder that does not exist yet
  many.threads = 5;
  prepare_data(many);
  for (const char* end : {"-train.bin", "-train.idx", "-validation.bin", "-validation.idx", ".model", ".json"}) {
    EXPECT_EQ(get(std::string("out") + end), get(std::string("again/out") + end)) << end;
    EXPECT_FALSE(get(std::string("out") + end).empty()) << end;
  }
}

TEST_F(Prepare, CompressedAndJsonInputsGiveTheSameTokens) {
  std::string json;
  for (int i = 0; i < 50; ++i) json += nlohmann::json({{"id", i}, {"text", entry(i)}}).dump() + "\n";
  const std::vector<std::string> inputs{put("a.txt", text(50)), put("a.gz", testing::gzip(text(50), true)),
                                        put("a.jsonl", json), put("a.jsonl.gz", testing::gzip(json))};
  std::string first;
  for (size_t i = 0; i < inputs.size(); ++i) {
    PrepareSpec one = spec(inputs[i]);
    one.output = path(fmt::format("out{}", i));
    prepare_data(one);
    const std::string bin = get(fmt::format("out{}-train.bin", i));
    if (i == 0) first = bin;
    EXPECT_EQ(bin, first) << inputs[i];
    EXPECT_FALSE(bin.empty());
  }
}

TEST_F(Prepare, HoldsOutExactlyAsManyAsAskedSpreadOverTheInput) {
  PrepareSpec one = spec(put("in.txt", text(103)));
  one.validation_documents = 7;
  EXPECT_EQ(prepare_data(one).validation.documents, 7);
  const Texts held = decoded(path("out-validation"), *make_byte_tokenizer());
  ASSERT_EQ(held.size(), 7u);
  EXPECT_EQ(held.back(), entry(102));
  EXPECT_EQ(held.front(), entry(14));  // (i + 1) 7 / 103 reaches 1
}

TEST_F(Prepare, EndOfDocumentOnlyOnRequest) {
  PrepareSpec one = spec(put("in.txt", "ab\n\ncd\n"));
  one.validation_fraction = 0;
  prepare_data(one);
  EXPECT_EQ(IndexedTokens(path("out-train")).tokens(), 6);
  EXPECT_FALSE(std::filesystem::exists(path("out-validation.idx")));
  one.output = path("end");
  one.append_end_of_document = true;
  EXPECT_EQ(prepare_data(one).vocabulary, 257);
  const IndexedTokens tokens(path("end-train"));
  std::vector<int32_t> ids(8);
  tokens.read(0, ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{'a', 'b', '\n', 256, 'c', 'd', '\n', 256}));
}

TEST_F(Prepare, InvalidUtf8IsCounted) {
  PrepareSpec one = spec(put("in.txt", text(100) + "bad \xff byte\n\nfine\n"), TokenizerChoice::bpe);
  EXPECT_EQ(prepare_data(one).invalid_documents, 1);
  one.output = path("bytes");
  one.tokenizer = TokenizerChoice::bytes;
  EXPECT_EQ(prepare_data(one).invalid_documents, 0);  // raw bytes lose nothing
}

TEST_F(Prepare, TheManifestSaysWhereItComesFrom) {
  const std::string content = text(100);
  PrepareSpec one = spec(put("in.txt", content), TokenizerChoice::bpe);
  const PrepareReport report = prepare_data(one);
  const Json json = read_json_file(path("out.json"));
  EXPECT_EQ(json["inputs"][0]["file"], path("in.txt"));
  EXPECT_EQ(json["inputs"][0]["bytes_read_xxh3_128"], hash_text(content));
  EXPECT_EQ(json["train"]["bin_xxh3_128"], hash_text(get("out-train.bin")));
  EXPECT_EQ(json["validation"]["bin_xxh3_128"], hash_text(get("out-validation.bin")));
  EXPECT_EQ(json["tokenizer"]["model_xxh3_128"], hash_text(get("out.model")));
  EXPECT_EQ(json["train"]["tokens"], report.train.tokens);
  EXPECT_EQ(json["tokenizer"]["vocabulary"], 310);
  EXPECT_EQ(json["settings"]["validation_fraction"], 0.1);
}

TEST_F(Prepare, RefusesToOverwriteAnyOfItsFiles) {
  const std::string input = put("in.txt", text(50));
  for (const char* end : {"-train.bin", "-train.idx", "-validation.bin", "-validation.idx", ".model", ".json"}) {
    const std::string file = put(std::string("out") + end, "precious");
    EXPECT_TRUE(contains(message_of<DataError>([&] { prepare_data(spec(input)); }), file + ": exists already"));
    EXPECT_EQ(files(), 2u) << end;
    std::filesystem::remove(file);
  }
}

TEST_F(Prepare, AFailureLeavesNothingBehind) {
  const std::string truncated = testing::gzip(text(3000));
  const std::string input = put("in.gz", truncated.substr(0, truncated.size() - 4));
  for (const TokenizerChoice choice : {TokenizerChoice::bytes, TokenizerChoice::bpe}) {
    EXPECT_TRUE(contains(message_of<DataError>([&] { prepare_data(spec(input, choice)); }), "in.gz: is truncated"));
    EXPECT_EQ(files(), 1u);
  }
}

TEST_F(Prepare, RefusesWhatMakesNoSense) {
  const std::string input = put("in.txt", text(20));
  const auto refusal = [&](auto change) {
    PrepareSpec changed = spec(input);
    change(changed);
    const std::string line = message_of<UserError>([&] { prepare_data(changed); });
    EXPECT_EQ(files(), 1u) << line;
    return line;
  };
  EXPECT_TRUE(contains(refusal([](auto& s) { s.documents.skip_documents = 20; }),
                       "no document was taken: 20 read, 20 skipped"));
  EXPECT_TRUE(contains(refusal([](auto& s) { s.documents.most_bytes = 10; }), "exceeds the byte limit"));
  EXPECT_TRUE(contains(refusal([](auto& s) { s.validation_fraction = 1; }), "validation fraction is 1"));
  EXPECT_TRUE(contains(refusal([](auto& s) { s.validation_fraction = 0.01; }),
                       "out-validation would have no documents; hold out more"));
  EXPECT_TRUE(
      contains(refusal([](auto& s) { s.validation_documents = 20; }), "20 validation documents of 20 leave none"));
  EXPECT_TRUE(contains(refusal([](auto& s) { s.documents.keep_every = 0; }), "--keep-every is 0"));
  EXPECT_TRUE(contains(refusal([](auto& s) { s.documents.inputs.clear(); }), "no input file"));
}

class Inspect : public Prepare {};

TEST_F(Inspect, ReportsWhatIsThere) {
  prepare_data(spec(put("in.txt", text(100)), TokenizerChoice::bpe));
  const TokenFileReport report = inspect_tokens({.prefix = path("out-train"), .samples = 3, .verify = true});
  const IndexedTokens tokens(path("out-train"));
  EXPECT_EQ(report.documents, 90);
  EXPECT_EQ(report.tokens, tokens.tokens());
  EXPECT_NEAR(report.mean, static_cast<double>(report.tokens) / 90, 1e-9);
  EXPECT_LE(static_cast<double>(report.shortest), report.mean);
  EXPECT_GE(static_cast<double>(report.longest), report.mean);
  EXPECT_EQ(report.vocabulary, 310);
  EXPECT_EQ(report.bin_hash, hash_text(get("out-train.bin")));
  EXPECT_TRUE(report.hash_matches_manifest);
  EXPECT_LT(report.largest_id, 310);
  ASSERT_EQ(report.samples.size(), 3u);
  EXPECT_EQ(report.samples[1].document, 45);
  EXPECT_EQ(report.samples[1].text, entry(50));  // 45 of training: five before it were held out
}

TEST_F(Inspect, VerifyFindsAChangedByte) {
  prepare_data(spec(put("in.txt", text(100))));
  std::string bin = get("out-train.bin");
  bin[1000] = static_cast<char>(bin[1000] ^ 1);
  put("out-train.bin", bin);
  EXPECT_NO_THROW(inspect_tokens({.prefix = path("out-train")}));
  const std::string line =
      message_of<DataError>([&] { inspect_tokens({.prefix = path("out-train"), .verify = true}); });
  EXPECT_TRUE(contains(line, "out-train.bin: has hash " + hash_text(bin)));
}

TEST_F(Inspect, VerifyFindsIdsBeyondTheVocabulary) {
  counting_file("plain", {400, 300});
  const TokenFileReport report = inspect_tokens({.prefix = path("plain"), .verify = true});
  EXPECT_EQ(report.vocabulary, 0);
  EXPECT_EQ(report.largest_id, 699);
  const std::string line =
      message_of<DataError>([&] { inspect_tokens({.prefix = path("plain"), .vocabulary = 500, .verify = true}); });
  EXPECT_TRUE(contains(line, "token id 500 at token position 500 (document 1) is outside the vocabulary of 500 ids"));
  EXPECT_EQ(inspect_tokens({.prefix = path("plain"), .vocabulary = 700, .verify = true}).distinct_ids, 700);
}

TEST_F(Inspect, AnEmptyFileIsReportedNotDividedBy) {
  counting_file("empty", {});
  const TokenFileReport report = inspect_tokens({.prefix = path("empty"), .samples = 2, .verify = true});
  EXPECT_EQ(report.documents, 0);
  EXPECT_EQ(report.mean, 0);
  EXPECT_TRUE(report.samples.empty());
}

TEST_F(Inspect, AForeignManifestIsNotBelieved) {
  counting_file("x-train", {4});
  put("x.json", "{\"format\": \"other\", \"version\": 1}");
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { inspect_tokens({.prefix = path("x-train")}); }), "x.json: is no manifest"));
  put("x.json", "{\"format\": \"timetrial-data\", \"version\": 1}");
  EXPECT_TRUE(contains(message_of<DataError>([&] { inspect_tokens({.prefix = path("x-train")}); }),
                       "x.json: is a damaged manifest"));
}

}  // namespace
}  // namespace timetrial
