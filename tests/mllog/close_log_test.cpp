// Logs whose run ended without closing them: what is appended, and which logs stay as they are.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/close_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "mllog/temporary_folder.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/reader.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A run up to where it broke off.
void write_run(const std::string& path, const std::function<void(Writer&)>& rest) {
  Writer writer(path);
  writer.interval_start("init_start", nullptr);
  rest(writer);
}

void train(Writer& writer) {
  writer.interval_start("run_start", nullptr);
  writer.interval_start("epoch_start", nullptr, {{"samples_count", 0}});
  writer.interval_start("block_start", nullptr, {{"samples_count", 0}});
  writer.event("tracked_stats", {{"reduced_train_loss", 1.5}}, {{"samples_count", 8}});
  writer.event("tracked_stats", {{"reduced_train_loss", 1.25}}, {{"samples_count", 16}});
}

std::vector<std::string> keys_after(const std::string& path, size_t records) {
  std::vector<std::string> keys;
  for (const Record& record : read_log(path).records)
    if (records == 0) {
      keys.push_back(record.key);
    } else {
      --records;
    }
  return keys;
}

using Keys = std::vector<std::string>;

TEST(CloseAborted, EndsWhatIsOpenAndLeavesTheRest) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  write_run(path, train);
  const std::string before = text_of(path);
  EXPECT_EQ(close_aborted(path, "rank 0 is gone"), Closing::closed);
  EXPECT_EQ(text_of(path).substr(0, before.size()), before);
  EXPECT_EQ(keys_after(path, 6), (Keys{"timetrial_warning", "block_stop", "epoch_stop", "run_stop"}));
  const Log log = read_log(path);
  EXPECT_EQ(log.bad_lines.size(), 0u);
  EXPECT_EQ(log.records[6].value, "rank 0 is gone");
  EXPECT_EQ(log.records.back().metadata["status"], "aborted");
  EXPECT_EQ(log.records.back().metadata["samples_count"], 16);
}

TEST(CloseAborted, InAnEvaluation) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  write_run(path, [](Writer& writer) {
    train(writer);
    writer.interval_end("block_stop", nullptr, {{"samples_count", 16}});
    writer.interval_start("eval_start", nullptr, {{"samples_count", 16}});
  });
  EXPECT_EQ(close_aborted(path, "why"), Closing::closed);
  EXPECT_EQ(keys_after(path, 8), (Keys{"timetrial_warning", "eval_stop", "epoch_stop", "run_stop"}));
}

TEST(CloseAborted, BeforeTheClockRan) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  write_run(path, [](Writer&) {});
  EXPECT_EQ(close_aborted(path, "why"), Closing::closed);
  EXPECT_EQ(keys_after(path, 1), (Keys{"timetrial_warning", "run_stop"}));
}

TEST(CloseAborted, TakesHalfALineAway) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  write_run(path, train);
  const std::string before = text_of(path);
  std::ofstream(path, std::ios::app) << ":::MLLOG {\"namespace\": \"\", \"time_";
  EXPECT_EQ(close_aborted(path, "why"), Closing::closed);
  EXPECT_EQ(text_of(path).substr(0, before.size() + kToken.size()), before + std::string(kToken));
  EXPECT_EQ(text_of(path).find("time_", before.size()), text_of(path).find("time_ms", before.size()));
  EXPECT_EQ(keys_after(path, 6).size(), 4u);
}

TEST(CloseAborted, LeavesClosedAndEmptyLogsAlone) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt", none = folder / "result_1.txt";
  write_run(path, train);
  EXPECT_EQ(close_aborted(path, "first"), Closing::closed);
  const std::string before = text_of(path);
  EXPECT_EQ(close_aborted(path, "second"), Closing::closed_before);
  EXPECT_EQ(text_of(path), before);
  std::ofstream(none) << "";
  EXPECT_EQ(close_aborted(none, "why"), Closing::empty);
  EXPECT_EQ(text_of(none), "");
  EXPECT_THROW(close_aborted(folder / "result_2.txt", "why"), UserError);
}

TEST(CloseAborted, NeverWritesIntoALogThatIsBeingWritten) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "result_0.txt";
  Writer writer(path);
  train(writer);
  writer.flush();
  const std::string before = text_of(path);
  try {
    close_aborted(path, "why");
    FAIL() << "closed while its writer lives";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("still writes this log"), std::string::npos);
  }
  EXPECT_EQ(text_of(path), before);
}

}  // namespace
}  // namespace timetrial::mllog
