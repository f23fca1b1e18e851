// Lines and tokens must not depend on where a file happens to be cut into pieces.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/line_cutter.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

namespace timetrial::mllog {
namespace {

struct Cut {
  std::vector<std::tuple<int64_t, std::string, bool>> records;
  std::vector<int64_t> too_long;
  int64_t lines = 0;
  bool has_nul = false;
  bool operator==(const Cut&) const = default;
};

Cut cut(const std::string& text, size_t first, size_t piece) {
  Cut out;
  LineCutter cutter;
  const auto record = [&](int64_t line, std::string_view rest, bool complete) {
    out.records.emplace_back(line, rest, complete);
  };
  const auto too_long = [&](int64_t line) { out.too_long.push_back(line); };
  for (size_t at = 0; at < text.size();) {
    const size_t take = at == 0 && first > 0 ? first : piece;
    cutter.add(std::string_view(text).substr(at, take), record, too_long);
    at += take;
  }
  cutter.end(record, too_long);
  out.lines = cutter.lines();
  out.has_nul = cutter.has_nul();
  return out;
}

TEST(LineCutter, EveryCutGivesTheSame) {
  constexpr char kBytes[] =
      "noise\n:::MLLOG a\r\n   0: :::MLLOG b\r:::MLLOG c :::MLLOG d\n:::MLLOG\n::::MLLOG e:::MLLOG \n\n:::MLLOG f::"
      ":MLLOG\nGGG:::MLLOG g\0GG\r\rx\n:::MLLO:::MLLOG h";
  const std::string text(kBytes, sizeof(kBytes) - 1);
  const Cut whole = cut(text, 0, text.size());
  const std::vector<std::tuple<int64_t, std::string, bool>> expected = {
      {2, "a", true}, {3, "b", true},         {3, "d", true},
      {5, "", true},  {7, "f:::MLLOG", true}, {8, std::string("g\0GG", 4), true},
      {9, "h", false}};
  EXPECT_EQ(whole.records, expected);
  EXPECT_EQ(whole.lines, 9);
  EXPECT_TRUE(whole.has_nul);
  for (size_t first = 1; first < text.size(); ++first) EXPECT_EQ(cut(text, first, text.size()), whole) << first;
  for (size_t piece = 1; piece < 40; ++piece) EXPECT_EQ(cut(text, 0, piece), whole) << piece;
}

TEST(LineCutter, LinesAreCountedByLineFeeds) {
  EXPECT_EQ(cut("", 0, 1).lines, 0);
  EXPECT_EQ(cut("a", 0, 1).lines, 1);
  EXPECT_EQ(cut("a\n", 0, 1).lines, 1);
  EXPECT_EQ(cut("a\n\n", 0, 1).lines, 2);
  EXPECT_EQ(cut("a\rb\r\nc\r", 0, 1).lines, 2);
}

TEST(LineCutter, TheLastTokenWhereverItIs) {
  EXPECT_EQ(last_token(":::MLLOG "), 0u);
  EXPECT_EQ(last_token(":::MLLOG"), std::string_view::npos);
  EXPECT_EQ(last_token(""), std::string_view::npos);
  EXPECT_EQ(last_token("GGGGGGGGGGGGGGGG"), std::string_view::npos);
  for (size_t before = 0; before < 30; ++before)
    for (size_t after = 0; after < 30; ++after) {
      const std::string line = std::string(before, 'G') + ":::MLLOG :::MLLOG " + std::string(after, 'G');
      EXPECT_EQ(last_token(line), before + 9) << before << " " << after;
    }
}

TEST(LineCutter, ARecordThatIsTooLongIsNamedAndForgotten) {
  const std::string text = "x\n:::MLLOG " + std::string(kLongestRecord + 1, 'r') + "\n:::MLLOG b\n:::MLLOG " +
                           std::string(kLongestRecord + 9, 'r') + ":::MLLOG c\n:::MLLOG " +
                           std::string(kLongestRecord + 1, 'r');
  const Cut out = cut(text, 0, 1 << 18);
  EXPECT_EQ(out.too_long, (std::vector<int64_t>{2, 5}));
  ASSERT_EQ(out.records.size(), 2u);
  EXPECT_EQ(std::get<1>(out.records[0]), "b");
  EXPECT_EQ(std::get<1>(out.records[1]), "c");
}

}  // namespace
}  // namespace timetrial::mllog
