// Logs as they come back from clusters on bad days: each must end in findings with line numbers, never in a crash.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "mllog/sample_log.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {
namespace {

using test::check;
using test::check_text;
using test::find;
using test::SampleLog;
using test::sound_log;
using test::text_of;

using Keys = std::vector<std::string>;

Keys failing(const CheckReport& report) {
  Keys keys;
  for (const Finding& finding : report.errors) keys.push_back(finding.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// The sound log with one record's line changed by `change`.
template <class Change>
std::string bent(const std::string& key, const Change& change) {
  const std::string text = text_of(sound_log());
  const size_t at = text.find("\"key\":\"" + key + "\"");
  const size_t begin = text.rfind('\n', at) + 1, end = text.find('\n', at);
  return text.substr(0, begin) + change(text.substr(begin, end - begin)) + text.substr(end);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

CheckReport with_value(const std::string& key, const std::string& json) {
  return check_text(bent(key, [&](std::string line) {
    const size_t at = line.find("\"value\":") + 8;
    return line.substr(0, at) + json + line.substr(line.find_last_of('}'));
  }));
}

TEST(BadInput, NulBytes) {
  const std::string nuls(3, '\0');
  EXPECT_TRUE(check_text(nuls + "\n" + text_of(sound_log()) + nuls).passed());
  const CheckReport inside = check_text(bent("opt_name", [&](std::string line) { return line.insert(20, nuls); }));
  EXPECT_EQ(failing(inside), (Keys{"log", "opt_name"}));
  EXPECT_EQ(inside.errors.back().line, 13);
  EXPECT_EQ(inside.official, OfficialOutcome::fail);
  // A hole at the end, as a full disk or a lost node leaves it.
  EXPECT_TRUE(check_text(text_of(sound_log()) + std::string(1 << 20, '\0')).passed());
}

TEST(BadInput, TenMegabyteLines) {
  const std::string long_text(10 << 20, ':'), good = text_of(sound_log());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(check_text(long_text + "\n" + good).passed());
  EXPECT_TRUE(check_text(long_text + good).passed());  // in front of the first token
  EXPECT_TRUE(check_text(std::string(10 << 20, 'G') + good).passed());
  EXPECT_EQ(failing(check_text(bent("opt_name", [&](const std::string& line) { return line + long_text; }))),
            (Keys{"log", "opt_name"}));
  std::string tokens;
  while (tokens.size() < (10 << 20)) tokens += ":::MLLOG ";
  EXPECT_TRUE(check_text(tokens + good).passed());
  EXPECT_EQ(failing(check_text(std::string(10 << 20, '\r') + good)), Keys{});
  EXPECT_EQ(with_value("opt_name", '"' + long_text + '"').errors.at(0).found.size(), 83u);  // cut for the message
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

TEST(BadInput, InvalidUtf8AndOtherEncodings) {
  SampleLog log = sound_log();
  EXPECT_TRUE(check_text("\xff\xfe caf\xe9\n" + text_of(log)).passed());
  const auto organization = [](const std::string& bytes) {
    return check_text(
        bent("submission_org", [&](const std::string& line) { return replaced(line, "Example Works", bytes); }));
  };
  for (const char* bytes : {"\xc3(", "\x80\x85\xa0", "\xed\xa0\x80", "\xf5\x80\x80\x80", "Universit\xe9", "\\ud800"}) {
    const CheckReport report = organization(bytes);
    EXPECT_TRUE(report.passed()) << bytes;
    EXPECT_NO_THROW(report.to_json().dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  // UTF-16 holds no token.
  std::string wide;
  for (const char c : text_of(log)) (wide += c) += '\0';
  EXPECT_THROW(check_text("\xff\xfe" + wide), DataError);
}

TEST(BadInput, HalfARecordAtTheEnd) {
  const std::string good = text_of(sound_log());
  const CheckReport report = check_text(good.substr(0, good.size() - 40));
  EXPECT_FALSE(report.finished);
  const auto end = std::find_if(report.errors.begin(), report.errors.end(),
                                [](const Finding& finding) { return finding.key == "log"; });
  ASSERT_NE(end, report.errors.end());
  EXPECT_EQ(end->line, 37);
  EXPECT_EQ(end->found, "the file ends inside this record");
}

TEST(BadInput, RanksInterleaved) {
  const std::string good = text_of(sound_log());
  std::string text;
  for (size_t at = 0; at < good.size();) {
    const size_t end = good.find('\n', at);
    for (int rank = 0; rank < 4; ++rank) text += fmt::format("{:4}: {}\n", rank, good.substr(at, end - at));
    at = end + 1;
  }
  const CheckReport report = check_text(text);
  EXPECT_TRUE(report.passed()) << report.verdict_sentence();
  EXPECT_EQ(report.warnings.size(), 24u);  // each key that should be there once
  // Two ranks' records in one line: the last one counts, half a record in front of it is nothing.
  const auto torn = [](const std::string& line) { return line.substr(0, 60) + line; };
  EXPECT_TRUE(check_text(bent("opt_name", torn)).passed());
  // A record cut in two by another rank's output.
  const CheckReport cut =
      check_text(bent("opt_name", [](const std::string& line) { return line.substr(0, 60) + "\n" + line.substr(60); }));
  EXPECT_EQ(failing(cut), (Keys{"log", "opt_name"}));
}

TEST(BadInput, WindowsLineEnds) {
  std::string text = text_of(sound_log());
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, 1, '\r');
  EXPECT_TRUE(check_text(text).passed());
  const CheckReport bad = check_text(replaced(text, "\"adamw\"", "\"sgd\""));
  ASSERT_EQ(failing(bad), Keys{"opt_name"});
  EXPECT_EQ(bad.errors[0].line, 13);
}

TEST(BadInput, DuplicateFieldsAndKeys) {
  EXPECT_TRUE(with_value("max_sequence_length", "4096,\"value\":8192").passed());
  EXPECT_EQ(failing(with_value("max_sequence_length", "8192,\"value\":4096")), Keys{"max_sequence_length"});
  EXPECT_TRUE(with_value("max_sequence_length", "4096,\"v\\u0061lue\":8192").passed());
  const auto twice = [](const std::string& line) { return line + "\n" + line; };
  const CheckReport same = check_text(bent("max_sequence_length", twice));
  EXPECT_TRUE(same.passed());
  ASSERT_EQ(same.warnings.size(), 1u);
  EXPECT_EQ(same.warnings[0].line, 11);
}

TEST(BadInput, NumbersThatAreNone) {
  for (const char* value : {"NaN", "Infinity", "-Infinity", "1e999", "\"8192\"", "[8192]", "null", "8192.0000001",
                            "1000000000000000000000000000000", "\"NaN\""})
    EXPECT_EQ(failing(with_value("max_sequence_length", value)), Keys{"max_sequence_length"}) << value;
  for (const char* value : {"-NaN", "nan", "+1", "08192", "0x2000", "8192.", ".5", "1e", "True", "", "'8192'"})
    EXPECT_EQ(failing(with_value("max_sequence_length", value)), (Keys{"log", "max_sequence_length"})) << value;
  EXPECT_TRUE(with_value("max_sequence_length", "8192e0").passed());
  // Python refuses integers of more than 4300 digits, and takes doubles of any length.
  EXPECT_TRUE(with_value("train_samples", std::string(4300, '1')).passed());
  EXPECT_EQ(failing(with_value("train_samples", std::string(4301, '1'))), (Keys{"log", "train_samples"}));
  EXPECT_TRUE(with_value("train_samples", std::string(4301, '1') + ".5").passed());
}

TEST(BadInput, WhatMakesTheOfficialCheckerDieIsAnErrorWithALine) {
  const CheckReport loss = with_value("eval_accuracy", "null");
  EXPECT_EQ(failing(loss), Keys{"eval_accuracy"});
  EXPECT_EQ(loss.official, OfficialOutcome::dies);
  EXPECT_EQ(loss.official_dies_of, "the value of eval_accuracy on line 30 is no number");
  EXPECT_EQ(loss.to_json()["official"]["outcome"], "dies");
  const CheckReport name = with_value("submission_benchmark", "\"gpt-oss-20b\"");
  EXPECT_EQ(name.official_dies_of, "ruleset 6.0.0 has no rules closed_gpt-oss-20b");
  EXPECT_NE(name.errors.at(0).advice.find("gpt_oss_20b"), std::string::npos);
  const CheckReport forever = with_value("submission_benchmark", "\"common\"");
  EXPECT_EQ(forever.official, OfficialOutcome::dies);
  const auto record = [](const std::string& text) {
    return check_text(text_of(sound_log()) + ":::MLLOG " + text + "\n");
  };
  for (const char* text : {"[1]", "5", "\"x\"", "{}", R"({"time_ms": null, "key": "a", "value": 1, "metadata": {}})",
                           R"({"time_ms": 1, "key": "a", "value": 1})"}) {
    EXPECT_EQ(failing(record(text)), Keys{"log"}) << text;
    EXPECT_EQ(record(text).official, OfficialOutcome::dies) << text;
  }
  const std::string beyond_doubles = std::string(400, '9');
  EXPECT_EQ(record(R"({"time_ms": )" + beyond_doubles + R"(, "key": "a", "value": 1, "metadata": {}})").official,
            OfficialOutcome::dies);
  // These it reports.
  for (const char* text : {"null", "{", "", R"({"time_ms": "x", "key": "a"})"}) {
    EXPECT_EQ(failing(record(text)), Keys{"log"}) << text;
    EXPECT_EQ(record(text).official, OfficialOutcome::fail) << text;
  }
  EXPECT_EQ(check(sound_log()).official, OfficialOutcome::pass);
}

TEST(BadInput, DeepNesting) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(with_value("train_samples", nested(980)).passed());
  for (const size_t depth : {size_t{981}, size_t{5000000}}) {
    const CheckReport report = with_value("train_samples", nested(depth));
    EXPECT_EQ(failing(report), (Keys{"log", "train_samples"})) << depth;
    EXPECT_EQ(report.official, OfficialOutcome::dies);
  }
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(failing(with_value("train_samples", objects)), (Keys{"log", "train_samples"}));
}

// A log of ruled records alone, 64 MB of them: what is kept must not grow with it.
TEST(BadInput, MemoryDoesNotGrowWithTheLog) {
#ifdef TIMETRIAL_SANITIZED
  GTEST_SKIP() << "the sanitizer keeps freed memory";
#endif
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  {
    std::ofstream file(path, std::ios::binary);
    const std::string good = text_of(sound_log());
    file << good.substr(0, good.rfind('\n', good.size() - 2) + 1);
    std::string block;
    for (int i = 0; i < 1000; ++i)
      for (const char* key : {"block_start", "block_stop", "timetrial_scaled_rule", "cache_clear"})
        block += fmt::format(
            ":::MLLOG {{\"namespace\": \"\", \"time_ms\": 1790000000000, \"event_type\": \"POINT_IN_TIME\", \"key\": "
            "\"{}\", \"value\": null, \"metadata\": {{\"file\": \"train.py\", \"lineno\": 12, \"samples_count\": "
            "7}}}}\n",
            key);
    for (size_t size = 0; size < (64u << 20); size += block.size()) file << block;
  }
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak_kib();
  EXPECT_GT(check_log(path).records, 300000);
  EXPECT_LT(peak_kib() - before, 16 << 10);
}

}  // namespace
}  // namespace timetrial::mllog
