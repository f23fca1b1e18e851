// The convergence check's loose reader: words anywhere in a line, last evaluation before the last run_stop, and its
// deaths. SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/convergence_reading.h"

#include <gtest/gtest.h>

#include "timetrial/base/error.h"

namespace timetrial::results {
namespace {

std::string line(const std::string& key, const std::string& value, const std::string& metadata = "{}") {
  return ":::MLLOG {\"key\": \"" + key + "\", \"value\": " + value + ", \"metadata\": " + metadata + "}\n";
}

const std::string kHead = line("submission_benchmark", "\"gpt_oss_20b\"") + line("global_batch_size", "16");
std::string evaluation(const std::string& samples, const std::string& loss = "3.4") {
  return line("eval_accuracy", loss, "{\"samples_count\": " + samples + "}");
}
std::string stop(const std::string& status) { return line("run_stop", "null", "{\"status\": \"" + status + "\"}"); }

TEST(ConvergenceReading, TakesTheLastEvaluationBeforeRunStop) {
  const auto reading =
      read_convergence(kHead + evaluation("100") + evaluation("200") + stop("success") + evaluation("300"));
  EXPECT_TRUE(reading.trouble.empty()) << reading.trouble;
  EXPECT_TRUE(reading.converged);
  EXPECT_EQ(reading.reached, 200);
  EXPECT_EQ(*reading.batch, 16);
  EXPECT_EQ(*reading.benchmark, "gpt_oss_20b");
}

TEST(ConvergenceReading, OnlySuccessIsConverged) {
  for (const char* status : {"aborted", "Success", ""}) {
    const auto reading = read_convergence(kHead + evaluation("100") + stop(status));
    EXPECT_FALSE(reading.converged) << status;
    EXPECT_EQ(reading.reached, kNever);
  }
  EXPECT_FALSE(read_convergence(kHead + evaluation("100")).converged);
  EXPECT_FALSE(read_convergence(kHead + evaluation("100") + stop("success") + stop("aborted")).converged);
  EXPECT_EQ(read_convergence(kHead + evaluation("100") + stop("success") + stop("aborted")).reached, kNever);
  EXPECT_TRUE(read_convergence(kHead + evaluation("100") + stop("aborted") + stop("success")).converged);
}

TEST(ConvergenceReading, AnyRecordThatMentionsTheWordCounts) {
  EXPECT_EQ(*read_convergence(kHead + line("note", "32", "{\"text\": \"global_batch_size\"}")).batch, 32);
  // ... but not when the word is written with escapes, or without the blank behind the token.
  EXPECT_EQ(*read_convergence(kHead + line("glob\\u0061l_batch_size", "32")).batch, 16);
  EXPECT_EQ(*read_convergence(kHead + ":::MLLOG{\"key\": \"global_batch_size\", \"value\": 32}\n").batch, 16);
  EXPECT_EQ(*read_convergence(kHead + "0: x :::MLLOG nonsense " + line("global_batch_size", "64")).batch, 64);
}

TEST(ConvergenceReading, EpochBenchmarksRoundToThreeDigits) {
  const std::string head = line("submission_benchmark", "\"dlrm_dcnv2\"") + line("global_batch_size", "65536");
  const auto reached = [&](const std::string& epoch) {
    return read_convergence(head + line("eval_accuracy", "0.8", "{\"epoch_num\": " + epoch + "}") + stop("success"))
        .reached;
  };
  EXPECT_EQ(reached("0.7993516399694891"), 0.799);
  EXPECT_EQ(reached("0.0625"), 0.062);  // a tie goes to the even digit
  EXPECT_EQ(reached("0.1875"), 0.188);
  EXPECT_EQ(reached("2"), 2);
}

TEST(ConvergenceReading, LineEndsLatin1AndNumbersThatAreNone) {
  std::string text = kHead + evaluation("100", "NaN") + stop("success");
  EXPECT_EQ(read_convergence(text).reached, 100);
  std::string windows, old;
  for (const char c : text) {
    windows += c == '\n' ? "\r\n" : std::string(1, c);
    old += c == '\n' ? '\r' : c;
  }
  EXPECT_EQ(read_convergence(windows).reached, 100);
  EXPECT_EQ(read_convergence(old).reached, 100);
  EXPECT_EQ(
      read_convergence(kHead + line("x", "\"eval_error \xe9\"", "{\"samples_count\": 7}") + stop("success")).reached,
      7);
  EXPECT_EQ(read_convergence(kHead + evaluation("100", "-Infinity") + stop("success")).reached, 100);
  EXPECT_TRUE(read_convergence("").trouble.empty());
}

TEST(ConvergenceReading, WhatKillsTheOfficialReaderIsNamedWithItsLine) {
  struct Case {
    const char* name;
    std::string text;
    int64_t line;
  };
  const Case cases[] = {
      {"evaluation before the benchmark", evaluation("100") + kHead, 1},
      {"no samples_count", kHead + line("eval_accuracy", "3", "{}"), 3},
      {"no metadata", kHead + ":::MLLOG {\"key\": \"eval_accuracy\", \"value\": 3}\n", 3},
      {"no value", kHead + ":::MLLOG {\"key\": \"global_batch_size\"}\n", 3},
      {"half a record", kHead + ":::MLLOG {\"key\": \"eval_accuracy\", \"va", 3},
      {"no object", kHead + ":::MLLOG \"eval_accuracy\"\n", 3},
      {"run_stop without status", kHead + evaluation("1") + line("run_stop", "null"), 4},
      {"success without evaluation", kHead + stop("success"), 3},
      {"samples as text", kHead + evaluation("\"100\"") + stop("success"), 4},
      {"samples not finite", kHead + evaluation("NaN") + stop("success"), 4},
      {"NUL inside", kHead + std::string(":::MLLOG {\"key\": \"eval_accuracy\"\0}\n", 36), 3},
  };
  for (const Case& c : cases) {
    const auto reading = read_convergence(c.text);
    EXPECT_FALSE(reading.trouble.empty()) << c.name;
    EXPECT_EQ(reading.trouble_line, c.line) << c.name << ": " << reading.trouble;
  }
  // A broken record without any of the words harms nobody.
  EXPECT_TRUE(read_convergence(kHead + ":::MLLOG {\"key\": \"loss\", \"va").trouble.empty());
  EXPECT_THROW(read_convergence_file("/nonexistent/result_0.txt"), DataError);
}

}  // namespace
}  // namespace timetrial::results
