// What a reviewer would ask: each remark on a log that earns it, and none on a sound one.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/remarks.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "mllog/sample_log.h"

namespace timetrial::mllog {
namespace {

using test::check;
using test::find;
using test::SampleLog;
using test::sound_log;

std::vector<std::string> keys_of(const CheckReport& report) {
  std::vector<std::string> keys;
  for (const Finding& finding : report.remarks) keys.push_back(finding.key);
  return keys;
}

using Keys = std::vector<std::string>;

// llama31_405b, closed: batch and learning rate as given, evaluations at these samples, the last meets the target.
SampleLog large_log(int64_t batch, double rate, const std::vector<int64_t>& evaluations) {
  SampleLog log = sound_log();
  const auto set = [&](const std::string& key, const Json& value) { find(log, key).value = value; };
  const auto steps = [&](double steps_of_1152) {
    return static_cast<int64_t>(std::ceil(steps_of_1152 * 1152 / static_cast<double>(batch)));
  };
  set("submission_benchmark", "llama31_405b");
  set("global_batch_size", batch);
  set("opt_base_learning_rate", rate);
  set("opt_end_learning_rate", 8e-7);
  set("opt_learning_rate_warmup_steps", steps(8000));
  set("opt_learning_rate_decay_steps", steps(1200000) - steps(8000));
  set("eval_samples", 5760);
  test::remove(log, "max_steps");
  log.insert(log.begin() + 5, {"init_checkpoint_step", 0});
  test::remove(log, "eval_accuracy");
  for (const int64_t samples : evaluations)
    log.insert(log.end() - 1,
               {"eval_accuracy", samples == evaluations.back() ? 5.5 : 6.0, {{"samples_count", samples}}});
  return log;
}

TEST(Remarks, TheFirstEvaluationsAreLeftOut) {
  const int64_t first = 15 * 18432;  // floor(0.0026 x 1152 + 12) = 14 are left out
  EXPECT_EQ(keys_of(check(large_log(1152, 8e-5, {first, first + 18432}))), Keys{});
  EXPECT_EQ(keys_of(check(large_log(1152, 8e-5, {0, first, first, first + 18432}))), Keys{});
  const CheckReport early = check(large_log(1152, 8e-5, {first - 18432, first}));
  EXPECT_TRUE(early.passed()) << early.verdict_sentence();
  ASSERT_EQ(keys_of(early), Keys{"eval_accuracy"});
  EXPECT_EQ(early.remarks[0].found, "the first at 258048 samples, not 276480");
  const CheckReport sparse = check(large_log(1152, 8e-5, {first, first + 2 * 18432}));
  ASSERT_EQ(keys_of(sparse), Keys{"eval_accuracy"});
  EXPECT_EQ(sparse.remarks[0].advice, "evaluate every 16 steps");
}

TEST(Remarks, TheLearningRateInBothSpellings) {
  const auto at_1280 = [](double rate) {
    return check(large_log(1280, rate, {16 * 19200, 17 * 19200}));  // ceil(18432 / 1280) x 1280
  };
  const CheckReport exact = at_1280(8e-5 * 1280 / 1152);
  EXPECT_TRUE(exact.passed()) << exact.verdict_sentence();
  ASSERT_EQ(keys_of(exact), Keys{"opt_base_learning_rate"});
  EXPECT_NE(exact.remarks[0].rule.find("rounded to 8 decimals"), std::string::npos);
  const CheckReport rounded = at_1280(8.889e-5);
  EXPECT_FALSE(rounded.passed());
  EXPECT_EQ(keys_of(rounded), Keys{});
}

TEST(Remarks, BatchSizesWithoutReferencePoints) {
  EXPECT_EQ(keys_of(check(large_log(576, 4e-5, {14 * 18432, 15 * 18432}))), Keys{"global_batch_size"});
  EXPECT_EQ(keys_of(check(large_log(18432, 8e-5 * 16, {60 * 18432, 61 * 18432}))), Keys{"global_batch_size"});
  // The rate's formula goes to 9216, the reference points to 4608.
  const CheckReport between = check(large_log(9216, 64e-5, {36 * 18432, 37 * 18432}));
  EXPECT_TRUE(between.passed()) << between.verdict_sentence();
  ASSERT_EQ(keys_of(between), Keys{"global_batch_size"});
  EXPECT_NE(between.remarks[0].advice.find("the largest reference batch size is 4608"), std::string::npos);
  EXPECT_EQ(keys_of(check(large_log(4608, 32e-5, {24 * 18432, 25 * 18432}))), Keys{});
}

TEST(Remarks, WarmUpOfTheLargeModel) {
  SampleLog log = large_log(1152, 8e-5, {15 * 18432});
  find(log, "opt_learning_rate_warmup_steps").value = 4000;
  const CheckReport report = check(log);
  EXPECT_TRUE(report.passed()) << report.verdict_sentence();
  EXPECT_EQ(keys_of(report), Keys{"opt_learning_rate_warmup_steps"});
}

TEST(Remarks, TheTargetWasMetBefore) {
  SampleLog log = sound_log();
  for (test::SampleRecord& record : log)
    if (record.key == "eval_accuracy") record.value = 3.2;
  const CheckReport report = check(log);
  ASSERT_EQ(keys_of(report), Keys{"eval_accuracy"});
  EXPECT_EQ(report.remarks[0].line, 30);
  EXPECT_EQ(report.remarks[0].found, "3.2 met it, and 1 evaluations follow");
}

TEST(Remarks, IntervalsTakeTurns) {
  SampleLog log = sound_log();
  log.insert(log.begin() + 1, log[1]);  // init_start from a second rank
  const CheckReport started_twice = check(log);
  EXPECT_TRUE(started_twice.passed());
  ASSERT_EQ(keys_of(started_twice), Keys{"init_start"});
  EXPECT_EQ(started_twice.remarks[0].line, 3);
  SampleLog stopped = sound_log();
  stopped.insert(stopped.end() - 1, {"block_stop", nullptr, {{"samples_count", 1}}});
  EXPECT_EQ(keys_of(check(stopped)), Keys{"block_start"});
}

TEST(Remarks, TheInitialisationIsNearItsLimit) {
  const auto after = [](int64_t minutes_ms, const char* division) {
    SampleLog log = sound_log();
    find(log, "submission_division").value = division;
    bool started = false;
    for (test::SampleRecord& record : log) {
      started = started || record.key == "init_stop";
      if (started) record.time_ms += minutes_ms;
    }
    return check(log);
  };
  EXPECT_EQ(keys_of(after(27 * 60000, "closed")), Keys{});
  const CheckReport near = after(28 * 60000, "closed");
  EXPECT_TRUE(near.passed());
  ASSERT_EQ(keys_of(near), Keys{"init_stop"});
  EXPECT_EQ(near.remarks[0].found, "1680 s, 93 % of the limit");
  EXPECT_EQ(keys_of(after(28 * 60000, "open")), Keys{});
  EXPECT_FALSE(after(30 * 60000, "closed").passed());
}

TEST(Remarks, EndLearningRate) {
  const auto ending_at = [](double rate) {
    SampleLog log = sound_log();
    find(log, "opt_base_learning_rate").value = 8e-4;
    find(log, "opt_end_learning_rate").value = rate;
    return keys_of(check(log));
  };
  EXPECT_EQ(ending_at(8e-5), Keys{});
  EXPECT_EQ(ending_at(4e-5), Keys{});
  EXPECT_EQ(ending_at(0), Keys{"opt_end_learning_rate"});
}

TEST(Remarks, FoldersOfASubmission) {
  const test::TemporaryFolder folder;
  SampleLog log = sound_log();
  const auto in = [&](const std::string& place) {
    const std::string path = folder / (place + "/result_0.txt");
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << test::text_of(log);
    return keys_of(check_log(path));
  };
  EXPECT_EQ(in("Example_Works_Inc/results/box/gpt_oss_20b"), Keys{});
  EXPECT_EQ(in("example-works/results/box/gpt_oss_20b"), Keys{});
  EXPECT_EQ(in("Somebody/results/box/gpt_oss_20b"), Keys{"submission_org"});
  log = sound_log();
  find(log, "submission_org").value = "SUBMISSION_ORG_PLACEHOLDER";
  EXPECT_EQ(in("Somebody/results/box/gpt_oss_20b"), Keys{"submission_org"});
  log = sound_log();
  EXPECT_EQ(in("ExampleWorks/results/box/gpt-oss-20b"), Keys{"submission_benchmark"});
  EXPECT_EQ(in("Somebody/runs/box/gpt-oss-20b"), Keys{});
}

TEST(Remarks, RanksThatCrossByMillisecondsAreNoClockGoingBack) {
  const auto back_by = [](int64_t ms) {
    SampleLog log = sound_log();
    find(log, "run_start").time_ms -= ms;
    return keys_of(check(log));
  };
  EXPECT_EQ(back_by(99), Keys{});
  EXPECT_EQ(back_by(100), Keys{"run_start"});
}

// What is logged too late to be sure of makes no remark.
TEST(Remarks, OnlyWhereSure) {
  SampleLog log = sound_log();
  const test::SampleRecord rate = find(log, "opt_base_learning_rate");
  test::remove(log, "opt_base_learning_rate");
  log.insert(log.end() - 1, rate);
  EXPECT_EQ(keys_of(check(log)), Keys{});
}

TEST(Remarks, EvaluationsBeyondCountingAreLeftAlone) {
  RemarkCollector collector;
  Record record;
  record.key = "eval_accuracy";
  record.value = 9;
  for (size_t i = 0; i <= RemarkCollector::kMostEvaluations; ++i) {
    record.metadata = {{"samples_count", i}};
    collector.add(record);
  }
  EXPECT_TRUE(collector.finish({"x", {}, false}).empty());
}

TEST(Remarks, AClosedRunsSeedIsDrawn) {
  SampleLog log = sound_log();
  log.insert(log.end() - 1, {"timetrial_seed_drawn", true});
  EXPECT_EQ(keys_of(check(log)), Keys{});
  find(log, "timetrial_seed_drawn").value = false;
  ASSERT_EQ(keys_of(check(log)), Keys{"seed"});
  EXPECT_EQ(check(log).remarks[0].found, "a seed that the user gave");
  SampleLog small = log;
  small.insert(small.end() - 1, {"timetrial_variant", "custom"});
  EXPECT_EQ(keys_of(check(small)), Keys{});
  find(log, "submission_division").value = "open";
  EXPECT_EQ(keys_of(check(log)), Keys{});
}

}  // namespace
}  // namespace timetrial::mllog
