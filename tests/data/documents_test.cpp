// Files to documents: separators, line ends, JSON lines, compression, selection, and the errors of each.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/documents.h"

#include "data/document_stream.h"
#include "data/gzip.h"
#include "data/held_out.h"
#include "data/token_files.h"
#include "data/utf8.h"
#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::gzip;
using testing::message_of;
using Texts = std::vector<std::string>;

class Documents : public testing::Folder {
 protected:
  static Texts all(const DocumentSpec& spec) {
    DocumentStream stream(spec);
    Texts texts;
    for (std::string text; stream.next(text);) texts.push_back(text);
    return texts;
  }
  Texts split(const std::string& content, DocumentBreak separator) const {
    return all({.inputs = {put("text", content)}, .separator = separator});
  }
  std::string failure(const std::string& name, const std::string& content) const {
    return message_of<DataError>([&] { all({.inputs = {put(name, content)}}); });
  }
};

TEST_F(Documents, BlankLinesSeparate) {
  const Texts expected{"a\nb\n", "c\n", "d\n"};
  EXPECT_EQ(split("a\nb\n\nc\n\n\n  \t\nd\n", DocumentBreak::blank_line), expected);
  EXPECT_EQ(split("\n\na\nb\n\nc\n\nd", DocumentBreak::blank_line), expected);
  EXPECT_EQ(split("a\r\nb\r\n\r\nc\r\n\r\nd\r\n", DocumentBreak::blank_line), expected);
}

TEST_F(Documents, HeadingsKeepIndentedParagraphsTogether) {
  EXPECT_EQ(split("One\n   first\n\n   second\n\nTwo\n   x\nnot new\n\n\n\tmore\n\n", DocumentBreak::heading),
            (Texts{"One\n   first\n\n   second\n", "Two\n   x\nnot new\n\n\n\tmore\n"}));
}

TEST_F(Documents, LinesAndFiles) {
  EXPECT_EQ(split("a\n\n b \r\nc", DocumentBreak::line), (Texts{"a", " b ", "c"}));
  EXPECT_EQ(split("\na\n\n\nb\n\n", DocumentBreak::file), (Texts{"a\n\n\nb\n"}));
  EXPECT_EQ(split("", DocumentBreak::file), Texts{});
  EXPECT_EQ(split("\n \n", DocumentBreak::blank_line), Texts{});
}

TEST_F(Documents, AreNotJoinedAcrossFiles) {
  EXPECT_EQ(all({.inputs = {put("1", "a"), put("2", "b\n\nc\n")}}), (Texts{"a\n", "b\n", "c\n"}));
}

TEST_F(Documents, OddBytesSurvive) {
  const std::string odd("a\0b\xff\xfe\r c\x01", 9);
  EXPECT_EQ(split(odd + "\n", DocumentBreak::line), Texts{odd});
}

TEST_F(Documents, JsonLines) {
  const std::string lines =
      "{\"text\": \"a\\nb\", \"id\": 1}\r\n\n{\"id\": 2, \"text\": "
      "\"\\u00e9\\u4e2d\"}\n{\"text\":\"\"}\n{\"text\":\"z\"}";
  const Texts expected{"a\nb", "\u00e9\u4e2d", "z"};
  EXPECT_EQ(all({.inputs = {put("x.jsonl", lines)}}), expected);
  EXPECT_EQ(all({.inputs = {put("x.ndjson.gz", gzip(lines))}}), expected);
  EXPECT_EQ(all({.inputs = {put("x.txt", lines)}, .format = TextFormat::json_lines}), expected);
  EXPECT_EQ(all({.inputs = {put("y.jsonl", "{\"body\":\"b\",\"text\":\"t\"}")}, .text_field = "body"}), Texts{"b"});
}

TEST_F(Documents, BadJsonLinesAreNamed) {
  EXPECT_TRUE(
      contains(failure("a.jsonl", "{\"text\":\"x\"}\n{\"text\":\n"), "a.jsonl:2: is not valid JSON at column 9"));
  EXPECT_TRUE(contains(failure("b.jsonl", "{\"content\":\"x\",\"n\":1}\n"),
                       "b.jsonl:1: has no text in a field \"text\" "
                       "(fields with text: content)"));
  EXPECT_TRUE(contains(failure("c.jsonl", "{\"text\":7}\n"), "fields with text: none"));
  EXPECT_TRUE(contains(failure("d.jsonl", "[1]\n"), "has no text"));
  EXPECT_TRUE(
      contains(failure("g.jsonl", "{\"text\":\"x\",\"n\":1e999}\n"), "g.jsonl:1: holds a number that is too large"));
  EXPECT_TRUE(contains(failure("e.jsonl", "{\"text\":\"\xff\"}\n"), "e.jsonl:1: is not valid JSON"));
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += fmt::format("line {} of many\n{}", i, i % 10 == 9 ? "\n" : "");
  return text;
}

TEST_F(Documents, GzipOfAnyShapeGivesTheSameText) {
  const std::string text = long_text();
  const Texts expected = split(text, DocumentBreak::blank_line);
  ASSERT_EQ(expected.size(), 10000u);
  const auto unpacked = [&](const std::string& bytes) { return all({.inputs = {put("z", bytes)}}); };
  EXPECT_EQ(unpacked(gzip(text)), expected);
  EXPECT_EQ(unpacked(gzip(text, true)), expected);  // dictzip's extra field
  const size_t half = text.size() / 2 + 3;
  EXPECT_EQ(unpacked(gzip(text.substr(0, half)) + gzip("") + gzip(text.substr(half), true)), expected);
  EXPECT_EQ(unpacked(gzip(text) + std::string(1000, '\0')), expected);  // padding
}

TEST_F(Documents, DamagedGzipIsAnErrorNamingTheFile) {
  const std::string good = gzip(long_text());
  for (const size_t size : {size_t{2}, size_t{9}, good.size() / 2, good.size() - 1}) {
    const std::string line = failure("t.gz", good.substr(0, size));
    EXPECT_TRUE(contains(line, "t.gz: is truncated"));
    EXPECT_TRUE(contains(line, fmt::format("{} bytes", size)));
  }
  std::string bad = good;
  bad[good.size() / 2] = static_cast<char>(bad[good.size() / 2] ^ 0x40);
  EXPECT_TRUE(contains(failure("d.gz", bad), "d.gz: is damaged near byte"));
  std::string checksum = good;
  checksum[good.size() - 6] = static_cast<char>(checksum[good.size() - 6] ^ 1);
  EXPECT_TRUE(contains(failure("c.gz", checksum), "is damaged"));
  EXPECT_TRUE(contains(failure("g.gz", good + "garbage"),
                       fmt::format("not gzip after its compressed text, at byte {}", good.size())));
}

TEST_F(Documents, ThePathMayHoldAnything) {
  const std::string name = "d\u00e9j\u00e0 vu \xff 中";
  EXPECT_EQ(all({.inputs = {put(name, "a\n")}}), Texts{"a\n"});
}

TEST_F(Documents, MissingFilesAndFoldersAreNamed) {
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { all({.inputs = {path("none.txt")}}); }), "none.txt: cannot be opened"));
  std::filesystem::create_directory(path("folder"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { all({.inputs = {path("folder")}}); }), "not a regular file"));
}

TEST_F(Documents, TooLongIsAnErrorInsteadOfMemory) {
  DocumentSpec spec{.inputs = {put("l", "short\n\n0123456789\n0123456789\n")}, .longest_bytes = 15};
  EXPECT_TRUE(contains(message_of<DataError>([&] { all(spec); }), "a document of more than 15 bytes at line 4"));
  spec.longest_bytes = 8;
  EXPECT_TRUE(contains(message_of<DataError>([&] { all(spec); }), "more than 8 bytes in line 3"));
  spec.longest_bytes = 22;
  EXPECT_EQ(all(spec).size(), 2u);
}

TEST_F(Documents, SelectionAppliesInTheDocumentedOrder) {
  DocumentSpec spec{.inputs = {put("s", "0\n1\n22\n3\n4\n5\n66\n7\n8\n9\n")}, .separator = DocumentBreak::line};
  spec.skip_documents = 2;
  spec.keep_every = 2;
  EXPECT_EQ(all(spec), (Texts{"22", "4", "66", "8"}));
  spec.most_documents = 3;
  EXPECT_EQ(all(spec), (Texts{"22", "4", "66"}));
  spec.shortest_bytes = 2;
  EXPECT_EQ(all(spec), (Texts{"22", "66"}));
  spec.most_bytes = 3;
  DocumentStream stream(spec);
  std::string text;
  EXPECT_TRUE(stream.next(text));
  EXPECT_FALSE(stream.next(text));
  const DocumentCounts& c = stream.counts();
  EXPECT_TRUE(c.limited);
  EXPECT_EQ(std::vector<int64_t>({c.read, c.skipped, c.thinned, c.short_ones, c.taken, c.taken_bytes}),
            (std::vector<int64_t>{7, 2, 2, 1, 1, 2}));
}

TEST_F(Documents, SourcesAreHashedAsFarAsTheyWereRead) {
  DocumentStream stream({.inputs = {put("1", "a\n"), put("2", "b\n")}, .most_documents = 1});
  std::string text;
  while (stream.next(text)) {
  }
  const std::vector<SourceFile> sources = stream.sources();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].hash, hash_text("a\n"));
  EXPECT_EQ(sources[0].bytes_read, 2);
  EXPECT_EQ(sources[1].hash, hash_text(""));
  EXPECT_EQ(sources[1].bytes_read, 0);
}

TEST(HeldOut, IsExactAndEvenlySpread) {
  for (const auto& [held, total] :
       {std::pair<int64_t, int64_t>{7, 100}, {1, 3}, {0, 5}, {20000, 1000000}, {999, 1000}}) {
    const HeldOut held_out{held, total};
    int64_t count = 0, last = -1;
    for (int64_t i = 0; i < total; ++i) {
      if (!held_out(i)) continue;
      ++count;
      EXPECT_LE(i - last, total / held + 1);
      last = i;
      EXPECT_TRUE(held_out(i + 3 * total));  // and so on for ever
    }
    EXPECT_EQ(count, held);
  }
}

TEST(TextSampling, IsBoundedSpreadAndWithoutHeldOutTexts) {
  TextSample sample(10000);
  for (int64_t i = 0; i < 5000; ++i) sample.add(i, fmt::format("{:020}", i));
  const Texts texts = sample.take({1, 3});  // held out: 2, 5, 8, ...
  ASSERT_GT(texts.size(), 100u);
  ASSERT_LE(texts.size(), 500u);
  EXPECT_GT(std::stoll(texts.back()), 4900);
  for (const std::string& text : texts) EXPECT_NE(std::stoll(text) % 3, 2);
}

TEST(TextSampling, OneLongTextIsCut) {
  TextSample sample(100);
  sample.add(0, std::string(1000, 'x'));
  EXPECT_EQ(sample.take({}), Texts{std::string(100, 'x')});
}

TEST(Utf8, AcceptsAndRefusesByRfc3629) {
  for (const char* good : {"", "plain text, longer than eight", "\u00e9", "\u0800", "\uffff", "\U00010000",
                           "\U0010ffff", "a\u20ac\u20ac"}) {
    EXPECT_TRUE(valid_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xe2\x82z", "12345678\xff", "1234567\xff"}) {
    EXPECT_FALSE(valid_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace timetrial
