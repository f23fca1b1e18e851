// What ships, and how it is filtered, sorted, aged; documents that are none.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/records.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "timetrial/base/error.h"

namespace timetrial::results {
namespace {

TEST(PublishedRecords, ShipWithSourceDateAndEstimates) {
  const LoadedRecords shipped = shipped_records();
  EXPECT_TRUE(shipped.problems.empty()) << shipped.problems[0];
  EXPECT_EQ(shipped.records.size(), 61U);
  std::set<std::string> benchmarks;
  for (const ResultRecord& record : shipped.records) {
    benchmarks.insert(record.benchmark);
    EXPECT_TRUE(record.minutes && *record.minutes > 0) << record.system;
    EXPECT_TRUE(record.accelerators && record.batch) << record.system;
    EXPECT_TRUE(record.reviewed);
    EXPECT_EQ(record.source.rfind("https://github.com/mlcommons/training_results_v", 0), 0U) << record.system;
    EXPECT_TRUE(days_between(record.date, "2026-11-22").has_value()) << record.system;
  }
  EXPECT_EQ(benchmarks, (std::set<std::string>{"deepseekv3_671b", "gpt_oss_20b", "llama31_405b"}));
  EXPECT_EQ(std::count_if(shipped.records.begin(), shipped.records.end(),
                          [](const ResultRecord& record) { return record.is_estimated("minutes"); }),
            29);
}

TEST(PublishedRecords, HoldThePublishedFigures) {
  RecordFilter filter;
  filter.benchmark = "llama31_405b";
  filter.round = "v5.1";
  filter.organization = "nvidia";
  const auto rows = select(shipped_records().records, filter, RecordOrder::minutes);
  ASSERT_EQ(rows.size(), 4U);  // digest 8
  EXPECT_EQ(rows[0].accelerators, 5120);
  EXPECT_NEAR(*rows[0].minutes, 9.995, 0.001);
  EXPECT_NEAR(*rows[0].step_s, 2.23, 0.005);
  EXPECT_EQ(rows[3].accelerators, 512);
  EXPECT_NEAR(*rows[3].minutes, 84.940, 0.001);
}

ResultRecord row(const std::string& organization, double count, std::optional<double> minutes,
                 const std::string& accelerator) {
  ResultRecord record;
  record.organization = organization;
  record.accelerators = count;
  record.minutes = minutes;
  record.accelerator = accelerator;
  return record;
}

std::string names(const std::vector<ResultRecord>& rows) {
  std::string text;
  for (const ResultRecord& record : rows) text += record.organization;
  return text;
}

TEST(Records, FilterAndSort) {
  const std::vector<ResultRecord> rows = {row("c", 8, 30, "NVIDIA GB300"), row("a", 72, 10, "AMD MI355X"),
                                          row("b", 72, {}, "nvidia gb300")};
  const auto with = [&](const std::string& accelerator, const std::string& count, RecordOrder order) {
    RecordFilter filter;
    filter.accelerator = accelerator;
    if (!count.empty()) set_count(filter, count);
    return names(select(rows, filter, order));
  };
  EXPECT_EQ(with("", "", RecordOrder::minutes), "acb");
  EXPECT_EQ(with("", "", RecordOrder::organization), "abc");
  EXPECT_EQ(with("", "", RecordOrder::accelerators), "cab");
  EXPECT_EQ(with("Gb300", "", RecordOrder::minutes), "cb");
  EXPECT_EQ(with("", "72", RecordOrder::minutes), "ab");
  EXPECT_EQ(with("", "..8", RecordOrder::minutes), "c");
  EXPECT_EQ(with("", "9..", RecordOrder::minutes), "ab");
  EXPECT_EQ(with("", "1..100", RecordOrder::minutes), "acb");
  RecordFilter filter;
  for (const char* text : {"", "..", "x", "8..x", "9..8", "-1", "8...9"})
    EXPECT_THROW(set_count(filter, text), UserError) << text;
  EXPECT_THROW(order_of("age"), UserError);
}

TEST(Records, Ages) {
  EXPECT_EQ(days_between("2026-06-16", "2026-11-22"), 159);
  EXPECT_EQ(days_between("2025-11-12", "2026-11-12"), 365);
  EXPECT_EQ(days_between("2024-02-28", "2024-03-01"), 2);
  for (const char* text : {"", "2026", "2026-13-01", "2026-02-30", "16.06.2026", "2026-6-16"})
    EXPECT_FALSE(days_between(text, "2026-11-22").has_value()) << text;
  EXPECT_TRUE(days_between("2026-11-21", today()).has_value());
}

Json document(const Json& records) { return {{"schema", "timetrial.results/1"}, {"records", records}}; }

TEST(Records, OddFieldsAreNamedAndTheRestKept) {
  const Json sound = {{"round", "v6.0"}, {"organization", "o"}, {"system", "s"}, {"benchmark", "b"}, {"minutes", 3}};
  Json odd = sound;
  odd["minutes"] = "3";
  odd["accelerators"] = std::numeric_limits<double>::quiet_NaN();
  odd["estimated"] = "minutes";
  Json nameless = sound;
  nameless["system"] = 7;
  const LoadedRecords loaded = load_records(document({sound, odd, nameless, 5}), "test");
  EXPECT_EQ(loaded.records.size(), 2U);
  EXPECT_EQ(loaded.problems.size(), 5U);
  EXPECT_FALSE(loaded.records[1].minutes.has_value());
  for (const std::string& problem : loaded.problems) EXPECT_EQ(problem.rfind("test: record ", 0), 0U) << problem;
}

TEST(Records, DocumentsThatAreNone) {
  EXPECT_THROW(load_records(Json::array(), "test"), UserError);
  EXPECT_THROW(load_records({{"schema", "timetrial.results/2"}, {"records", Json::array()}}, "test"), UserError);
  EXPECT_THROW(load_records({{"schema", "timetrial.results/1"}, {"records", 1}}, "test"), UserError);
  EXPECT_TRUE(load_records(document(Json::array()), "test").records.empty());
}

}  // namespace
}  // namespace timetrial::results
