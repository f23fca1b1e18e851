// The log reader: what it takes, where it cuts, which line it names.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>

#include "mllog/sample_log.h"
#include "mllog/temporary_folder.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {
namespace {

using test::TemporaryFolder;

Log read_text(const std::string& text) {
  const TemporaryFolder folder;
  return read_log(test::write(folder, text));
}

std::string record(const std::string& value, const std::string& time = "5") {
  return ":::MLLOG {\"time_ms\": " + time +
         ", \"event_type\": \"POINT_IN_TIME\", \"key\": \"seed\", \"value\": " + value + ", \"metadata\": {\"a\": 1}}";
}

TEST(LogReader, ReadsBackWhatTheWriterWrote) {
  const TemporaryFolder folder;
  const Json value = {{"loss", 0.1}, {"nested", Json::array({1, "caf\u00e9 \"NaN\"", nullptr})}};
  {
    Writer writer(folder / "log.txt");
    writer.interval_start("run_start", value, {{"samples_count", 3}});
    writer.event("x", std::nan(""));
    writer.event("x", Json::array({-std::numeric_limits<double>::infinity(), "Infinity"}));
  }
  const Log log = read_log(folder / "log.txt");
  ASSERT_EQ(log.records.size(), 3u);
  EXPECT_TRUE(log.bad_lines.empty());
  EXPECT_EQ(log.lines, 3);
  EXPECT_EQ(log.records[0].key, "run_start");
  EXPECT_EQ(log.records[0].event_type, "INTERVAL_START");
  EXPECT_EQ(log.records[0].value, value);
  EXPECT_EQ(log.records[0].metadata["samples_count"], 3);
  EXPECT_GT(log.records[0].time_ms, 1.6e12);
  EXPECT_TRUE(std::isnan(log.records[1].value.get<double>()));
  EXPECT_EQ(log.records[2].value[0].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(log.records[2].value[1], "Infinity");
}

TEST(LogReader, NamesTheLinesOfTheFile) {
  const Log log = read_text("hello\n\n" + record("1") + "\nnoise\r\n   0: " + record("2") + "\r\n" + record("3"));
  ASSERT_EQ(log.records.size(), 3u);
  EXPECT_EQ(log.records[0].line, 3);
  EXPECT_EQ(log.records[1].line, 5);
  EXPECT_EQ(log.records[2].line, 6);
  EXPECT_EQ(log.lines, 6);
}

TEST(LogReader, CarriageReturnsEndRecordsButNotLines) {
  const Log log = read_text("10%\r20%\r" + record("1") + "\r" + record("2") + "\nx\n" + record("3") + "\n");
  ASSERT_EQ(log.records.size(), 3u);
  EXPECT_EQ(log.records[0].line, 1);
  EXPECT_EQ(log.records[1].line, 1);
  EXPECT_EQ(log.records[2].line, 3);
}

TEST(LogReader, TheLastTokenOfALineCounts) {
  const Log log = read_text(record("1") + " " + record("2") + "\n:::MLLOG {\"broken\": :::MLLOG" + record("3") + "\n");
  ASSERT_EQ(log.records.size(), 2u);
  EXPECT_EQ(log.records[0].value, 2);
  EXPECT_EQ(log.records[1].value, 3);
}

TEST(LogReader, WithoutTheTokenAndItsBlankALineIsNoRecord) {
  const Log log = read_text(":::MLLOG{\"a\": 1}\n:::MLLOG\n::MLLOG {}\n");
  EXPECT_TRUE(log.records.empty());
  EXPECT_TRUE(log.bad_lines.empty());
}

TEST(LogReader, BadRecordsAreNamedAndTheOthersStillRead) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {":::MLLOG {\"key\": 1", "not valid JSON"},
      {record("1") + " done", "not valid JSON"},
      {record("1") + std::string(1, '\0'), "not valid JSON"},
      {record("-NaN"), "not valid JSON"},
      {record("\"a\tb\""), "not valid JSON"},
      {record("{NaN: 1}"), "not valid JSON"},
      {":::MLLOG [1]", "no JSON object"},
      {":::MLLOG 5", "no JSON object"},
      {":::MLLOG   ", "nothing follows"},
      {":::MLLOG {\"time_ms\": 1, \"key\": \"a\", \"value\": 1}", "lacks \"metadata\""},
      {":::MLLOG {\"time_ms\": 1, \"key\": \"a\", \"metadata\": {}}", "lacks \"value\""},
      {":::MLLOG {\"key\": \"a\", \"value\": 1, \"metadata\": {}}", "lacks \"time_ms\""},
      {record("1", "\"1.2.3\""), "time_ms is no number: \"1.2.3\""},
      {record("1", "null"), "time_ms is no number: null"},
  };
  for (const auto& [line, what] : cases) {
    const Log log = read_text(record("1") + "\n" + line + "\n" + record("2") + "\n");
    EXPECT_EQ(log.records.size(), 2u) << line;
    ASSERT_EQ(log.bad_lines.size(), 1u) << line;
    EXPECT_EQ(log.bad_lines[0].line, 2);
    EXPECT_NE(log.bad_lines[0].what.find(what), std::string::npos) << line << ": " << log.bad_lines[0].what;
  }
}

TEST(LogReader, HalfARecordAtTheEndIsNamedAsSuch) {
  const Log log = read_text(record("1") + "\n" + record("2").substr(0, 50));
  ASSERT_EQ(log.bad_lines.size(), 1u);
  EXPECT_EQ(log.bad_lines[0].line, 2);
  EXPECT_EQ(log.bad_lines[0].what, "the file ends inside this record");
  EXPECT_EQ(log.records.size(), 1u);
}

TEST(LogReader, BytesThatAreNoUtf8CountAsLatin1) {
  const Log log = read_text("caf\xe9 " + record("\"caf\xe9\"") + "\n" + record("\"caf\xc3\xa9\"") + "\x85\xa0\n");
  ASSERT_EQ(log.records.size(), 2u);
  EXPECT_EQ(log.records[0].value, "caf\u00e9");
  EXPECT_EQ(log.records[1].value, "caf\u00e9");
}

TEST(LogReader, SurrogatesAreJoinedAndThoseAloneAreKept) {
  const auto value = [](const std::string& text) { return read_text(record('"' + text + '"')).records.at(0).value; };
  EXPECT_EQ(value("\\ud83d\\ude00!"), "\U0001F600!");
  EXPECT_EQ(value("\\ud83d\\u0041"),
            "\xed\xa0\xbd"
            "A");
  EXPECT_EQ(value("\\ude00"), "\xed\xb8\x80");
  // The same three bytes in the file are no UTF-8, so each is a character of Latin-1.
  EXPECT_EQ(value("\xed\xa0\xbd"), "\u00ed\u00a0\u00bd");
  EXPECT_EQ(value("\xf0\x9f\x98\x80"), "\U0001F600");
  EXPECT_EQ(value("\xc0\x80"), "\u00c0\u0080");
}

TEST(LogReader, TimesAsPythonReadsThem) {
  const std::vector<std::pair<std::string, double>> cases = {{"7", 7},
                                                             {"7.5", 7.5},
                                                             {"true", 1},
                                                             {"\"7\"", 7},
                                                             {"\" 7.5\\t\"", 7.5},
                                                             {"\"1_000\"", 1e3},
                                                             {"\"+5\"", 5},
                                                             {"\"-5e1\"", -50},
                                                             {"Infinity", INFINITY},
                                                             {"\"-inf\"", -INFINITY},
                                                             {"\"1e400\"", INFINITY}};
  for (const auto& [text, time] : cases) {
    const Log log = read_text(record("1", text));
    ASSERT_EQ(log.records.size(), 1u) << text;
    EXPECT_EQ(log.records[0].time_ms, time) << text;
  }
  for (const char* text : {"\"\"", "\"_1\"", "\"1_\"", "\"0x10\"", "\"+-5\"", "\"nan(1)\"", "[1]"})
    EXPECT_EQ(read_text(record("1", text)).bad_lines.size(), 1u) << text;
}

TEST(LogReader, LastOfDuplicateFieldsAndKeysOfAnyTypeAreTaken) {
  const Log log = read_text(":::MLLOG {\"time_ms\": 1, \"key\": 5, \"value\": 1, \"value\": 2, \"metadata\": null}\n");
  ASSERT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.records[0].value, 2);
  EXPECT_EQ(log.records[0].key, "5");
  EXPECT_TRUE(log.records[0].metadata.is_null());
}

// The token may lie across any border between reads; the line may be far longer than one read.
TEST(LogReader, LongLinesAndBordersBetweenReads) {
  for (size_t prefix : {size_t{65525}, size_t{65530}, size_t{65535}, size_t{65536}, size_t{200000}}) {
    const Log log = read_text(std::string(prefix, 'x') + record("1") + "\n" + record("2") + "\n");
    ASSERT_EQ(log.records.size(), 2u) << prefix;
    EXPECT_EQ(log.records[0].value, 1);
    EXPECT_EQ(log.records[1].line, 2);
  }
  const std::string text(300000, 'y');
  const Log log = read_text(record("\"" + text + "\"") + "\n");
  ASSERT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.records[0].value, text);
}

TEST(LogReader, ReadsInLinearTime) {
  // Prefix and record of 1 MB each on one line: the official parser's cut takes minutes.
  const std::string text = std::string(1000000, ':') + record("\"" + std::string(1000000, ':') + "\"") + "\n";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(read_text(text).records.size(), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(LogReader, NulBytesAreNoticed) {
  EXPECT_FALSE(read_text("abc\n").has_nul);
  EXPECT_TRUE(read_text(std::string("abc\0", 4) + "\n" + record("1")).has_nul);
}

TEST(LogReader, FilesThatCannotBeReadAreUserErrors) {
  const TemporaryFolder folder;
  for (const auto& [path, what] : {std::pair<std::string, std::string>{folder / "none", "No such file"},
                                   {folder / "", "is a folder"},
                                   {"/dev/null", "is no regular file"}}) {
    try {
      read_log(path);
      ADD_FAILURE() << path;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace timetrial::mllog
