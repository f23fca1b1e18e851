// Token files: the byte layout, what is refused, and what happens when a file changes under its reader.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/indexed_tokens.h"

#include <sys/file.h>

#include <cstring>
#include <thread>

#include "data/token_files.h"
#include "timetrial/base/error.h"

namespace timetrial {
namespace {

using testing::contains;
using testing::message_of;

template <class T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

std::string header(uint8_t code, uint64_t sequences, uint64_t entries, uint64_t version = 1) {
  return std::string("MMIDIDX\0\0", 9) + raw<uint64_t>({version}) + raw<uint8_t>({code}) +
         raw<uint64_t>({sequences, entries});
}

// Documents of 3 and 2 tokens, u16.
std::string good_index() {
  return header(8, 2, 3) + raw<int32_t>({3, 2}) + raw<int64_t>({0, 6}) + raw<int64_t>({0, 1, 2});
}
std::string good_bin() { return raw<uint16_t>({7, 65535, 0, 500, 9}); }

class TokenFile : public testing::Folder {
 protected:
  std::string refusal(const std::string& idx, const std::string& bin = good_bin()) {
    put("x.idx", idx);
    put("x.bin", bin);
    return message_of<DataError>([&] { IndexedTokens tokens(path("x")); });
  }
};

TEST_F(TokenFile, WriterMakesTheBytesOfTheLayout) {
  IndexedTokensWriter writer(path("w"), TokenType::u16);
  writer.add(std::vector<int32_t>{7, 65535, 0});
  writer.add(std::vector<int32_t>{500, 9});
  EXPECT_EQ(files(), 2u);
  EXPECT_FALSE(std::filesystem::exists(path("w.bin")));
  EXPECT_FALSE(std::filesystem::exists(path("w.idx")));
  writer.finish();
  EXPECT_EQ(get("w.idx"), good_index());
  EXPECT_EQ(get("w.bin"), good_bin());
  EXPECT_EQ(files(), 2u);
}

TEST_F(TokenFile, ReadsHandMadeBytesOfEachType) {
  const std::string tail = raw<int32_t>({3, 2});
  const struct {
    uint8_t code;
    int64_t item;
    std::string bin;
    std::vector<int32_t> expected;
  } cases[] = {
      {1, 1, raw<uint8_t>({7, 255, 0, 50, 9}), {7, 255, 0, 50, 9}},
      {8, 2, good_bin(), {7, 65535, 0, 500, 9}},
      {4, 4, raw<int32_t>({7, 2000000000, 0, -5, 9}), {7, 2000000000, 0, -5, 9}},
  };
  for (const auto& c : cases) {
    put("x.idx", header(c.code, 2, 3) + tail + raw<int64_t>({0, 3 * c.item, 0, 1, 2}));
    put("x.bin", c.bin);
    const IndexedTokens tokens(path("x"));
    EXPECT_EQ(tokens.documents(), 2);
    EXPECT_EQ(tokens.tokens(), 5);
    EXPECT_EQ(bytes_of(tokens.token_type()), static_cast<size_t>(c.item));
    for (size_t first = 0; first < 5; ++first) {
      for (size_t count = 0; first + count <= 5; ++count) {
        std::vector<int32_t> out(count, -1);
        tokens.read(static_cast<int64_t>(first), out);
        EXPECT_TRUE(std::equal(out.begin(), out.end(), c.expected.begin() + static_cast<std::ptrdiff_t>(first)));
      }
    }
    EXPECT_EQ(tokens.document_at(2), 0);
    EXPECT_EQ(tokens.document_at(3), 1);
  }
}

TEST_F(TokenFile, RefusesForeignAndDamagedIndexes) {
  const std::string good = good_index();
  EXPECT_TRUE(contains(refusal(good.substr(0, 20)), "has 20 bytes, an index has at least 34"));
  EXPECT_TRUE(contains(refusal(""), "has 0 bytes"));
  EXPECT_TRUE(contains(refusal(std::string("PK\3\4") + good.substr(4)), "does not start with MMIDIDX"));
  EXPECT_TRUE(contains(refusal(header(8, 2, 3, 2) + good.substr(34)), "version 2, this program reads version 1"));
  EXPECT_TRUE(contains(refusal(header(6, 2, 3) + good.substr(34)), "code 6 (f64)"));
  EXPECT_TRUE(contains(refusal(header(99, 2, 3) + good.substr(34)), "code 99 (unknown)"));
  EXPECT_TRUE(contains(refusal(good.substr(0, good.size() - 1)), "has 81 bytes, but its header announces 2 sequences"));
  EXPECT_TRUE(contains(refusal(good + "x"), "has 83 bytes"));
  // Counts whose products wrap round to the right size.
  EXPECT_TRUE(
      contains(refusal(header(8, 2 + (uint64_t{1} << 62), 3) + good.substr(34)), "announces 4611686018427387906"));
  EXPECT_TRUE(
      contains(refusal(header(8, 2, 3 + (uint64_t{1} << 61)) + good.substr(34)), "announces 2 sequences and 23"));
  const std::string offsets = raw<int64_t>({0, 6}), documents = raw<int64_t>({0, 1, 2});
  const auto index = [](const std::string& lengths, const std::string& o, const std::string& d) {
    return header(8, 2, 3) + lengths + o + d;
  };
  const std::string lengths = raw<int32_t>({3, 2});
  EXPECT_TRUE(contains(refusal(index(raw<int32_t>({3, -2}), offsets, documents)), "sequence 1 has length -2"));
  EXPECT_TRUE(contains(refusal(index(lengths, raw<int64_t>({0, 8}), documents)), "byte 8 by its offset but at byte 6"));
  EXPECT_TRUE(contains(refusal(index(lengths, raw<int64_t>({2, 6}), documents)), "sequence 0 starts at byte 2"));
  EXPECT_TRUE(contains(refusal(index(lengths, offsets, raw<int64_t>({1, 1, 2}))), "document entry 0 is 1"));
  EXPECT_TRUE(contains(refusal(index(lengths, offsets, raw<int64_t>({0, 2, 1}))),
                       "document entry 2 is 1, it must be at least 2"));
  EXPECT_TRUE(
      contains(refusal(index(lengths, offsets, raw<int64_t>({0, 1, 1}))), "document entry 2 is 1, it must be 2"));
  EXPECT_TRUE(contains(refusal(index(lengths, offsets, raw<int64_t>({0, 3, 3}))),
                       "document entry 1 is 3, it must be at most 2"));
  EXPECT_TRUE(contains(refusal(header(8, 0, 0), ""), "no document entry"));
  put("x.idx", good);
  put("x.bin", good_bin());
  EXPECT_EQ(IndexedTokens(path("x")).tokens(), 5);  // unchanged it is accepted: each refusal is due to its change
}

TEST_F(TokenFile, RefusesABinOfAnotherSize) {
  const std::string line = refusal(good_index(), good_bin() + "ab");
  EXPECT_TRUE(contains(line, "x.bin"));
  EXPECT_TRUE(contains(line, "has 12 bytes"));
  EXPECT_TRUE(contains(line, "says 10 (5 tokens of u16)"));
}

TEST_F(TokenFile, NamesTheMissingFile) {
  EXPECT_TRUE(contains(message_of<DataError>([&] { IndexedTokens tokens(path("no")); }), "no.idx"));
  put("half.idx", good_index());
  EXPECT_TRUE(contains(message_of<DataError>([&] { IndexedTokens tokens(path("half")); }), "half.bin"));
}

int64_t bytes_read_by_this_process() {
  std::ifstream io("/proc/self/io");
  std::string key;
  int64_t value = -1;
  io >> key >> value;
  return key == "rchar:" ? value : -1;
}

TEST_F(TokenFile, OpeningReadsNothingOfTheBin) {
  counting_file("big", std::vector<int>(100, 100000));
  const int64_t before = bytes_read_by_this_process();
  if (before < 0) GTEST_SKIP() << "this kernel does not count bytes read";
  const IndexedTokens tokens(path("big"));
  const int64_t opened = bytes_read_by_this_process();
  EXPECT_LT(opened - before, 10000);
  std::vector<int32_t> out(1000000);
  tokens.read(0, out);
  EXPECT_GE(bytes_read_by_this_process() - opened, 4000000);  // the counter does count what is read
}

TEST_F(TokenFile, AFileThatShrinksIsAnErrorLine) {
  counting_file("s", {1000, 1000});
  const IndexedTokens tokens(path("s"));
  std::vector<int32_t> out(2000);
  tokens.read(0, out);
  std::filesystem::resize_file(path("s.bin"), 6000);
  const std::string line = message_of<DataError>([&] { tokens.read(0, out); });
  EXPECT_TRUE(contains(line, "shrank while in use: it had 8000 bytes when it was opened and ends at byte 6000 now"));
  tokens.read(0, std::span(out).first(1500));
}

TEST_F(TokenFile, ManyThreadsReadAtOnce) {
  counting_file("t", std::vector<int>(50, 1000));
  const IndexedTokens tokens(path("t"));
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<int32_t> out(700);
      for (int64_t first = t; first + 700 <= 50000; first += 331) {
        tokens.read(first, out);
        for (size_t i = 0; i < out.size(); ++i)
          wrong[static_cast<size_t>(t)] += out[i] != first + static_cast<int64_t>(i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_F(TokenFile, WriterRefusesToOverwrite) {
  put("o.bin", "mine");
  EXPECT_TRUE(contains(message_of<DataError>([&] { IndexedTokensWriter writer(path("o"), TokenType::u16); }),
                       "exists already"));
  put("p.idx", "mine");
  EXPECT_TRUE(contains(message_of<DataError>([&] { IndexedTokensWriter writer(path("p"), TokenType::u16); }), "p.idx"));
  EXPECT_EQ(get("o.bin"), "mine");
  EXPECT_EQ(get("p.idx"), "mine");
  EXPECT_EQ(files(), 2u);
}

TEST_F(TokenFile, UnfinishedWriterLeavesNothing) {
  {
    IndexedTokensWriter writer(path("u"), TokenType::i32);
    writer.add(std::vector<int32_t>{1, 2, 3});
    EXPECT_EQ(files(), 2u);
  }
  EXPECT_EQ(files(), 0u);
}

TEST_F(TokenFile, TwoWritersOfOnePrefixDoNotMix) {
  IndexedTokensWriter first(path("v"), TokenType::i32);
  EXPECT_TRUE(contains(message_of<DataError>([&] { IndexedTokensWriter second(path("v"), TokenType::i32); }),
                       "another process is writing"));
  first.add(std::vector<int32_t>{1});
  first.finish();
  EXPECT_EQ(IndexedTokens(path("v")).tokens(), 1);
}

TEST_F(TokenFile, APartialFileLeftByAKilledProgramIsReplaced) {
  put("k.bin.partial", std::string(5000, 'x'));
  IndexedTokensWriter writer(path("k"), TokenType::u16);
  writer.add(std::vector<int32_t>{1, 2});
  writer.finish();
  EXPECT_EQ(IndexedTokens(path("k")).tokens(), 2);
  EXPECT_EQ(files(), 2u);
}

TEST_F(TokenFile, WriterHoldsEveryIdOfItsType) {
  IndexedTokensWriter writer(path("r"), TokenType::u16);
  EXPECT_THROW(writer.add(std::vector<int32_t>{65536}), Error);
  EXPECT_THROW(writer.add(std::vector<int32_t>{-1}), Error);
}

TEST(TokenTypes, RuleOfTheLayout) {
  EXPECT_EQ(token_type_for(256), TokenType::u16);
  EXPECT_EQ(token_type_for(65499), TokenType::u16);
  EXPECT_EQ(token_type_for(65500), TokenType::i32);
}

}  // namespace
}  // namespace timetrial
