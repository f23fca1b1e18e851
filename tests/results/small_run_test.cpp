// The interval of small runs against figures worked out by hand, and the judgement of logs.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/small_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial::results {
namespace {

Json document(const std::vector<Json>& samples) {
  Json points = Json::array();
  for (const Json& count : samples) points.push_back({{"seed", 1}, {"samples", count}});
  return {{"schema", "timetrial.convergence/1"},
          {"workload", "gpt_oss_20b"},
          {"sets",
           {{{"variant", "small"},
             {"form", "submitted"},
             {"source", "here"},
             {"settings", {{"train.global_batch", 32}}},
             {"points", points}}}}};
}

TEST(SmallRunPoints, IntervalIsStudents) {
  // Mean 3, sample deviation sqrt(2.5); t(0.995, 4) = 4.6041 (tables); reach = 4.6041 * 1.58114 * sqrt(1.2).
  const auto points = parse_small_run_points(document({1, 2, 3, 4, 5}), "small", "submitted", "test");
  ASSERT_TRUE(points);
  EXPECT_DOUBLE_EQ(points->mean, 3);
  EXPECT_NEAR(points->deviation, 1.5811388, 1e-6);
  EXPECT_NEAR(points->highest - 3, 4.6041 * 1.5811388 * 1.0954451, 1e-3);
  EXPECT_NEAR(points->lowest, 6 - points->highest, 1e-9);
  EXPECT_FALSE(parse_small_run_points(document({1, 2, 3, 4, 5}), "small", "reference", "test"));
  EXPECT_FALSE(parse_small_run_points(document({1, 2, 3, 4, 5}), "custom", "submitted", "test"));
}

TEST(SmallRunPoints, RefusesWhatIsNoReference) {
  EXPECT_THROW(parse_small_run_points(document({1, 2, 3, 4}), "small", "submitted", "test"), UserError);
  EXPECT_THROW(parse_small_run_points(document({1, 2, 3, 4, "5"}), "small", "submitted", "test"), UserError);
  EXPECT_THROW(parse_small_run_points(document({1, 2, 3, 4, -5}), "small", "submitted", "test"), UserError);
  Json unset = document({1, 2, 3, 4, 5});
  unset["sets"][0].erase("settings");
  EXPECT_THROW(parse_small_run_points(unset, "small", "submitted", "test"), UserError);
  EXPECT_THROW(parse_small_run_points(Json::object(), "small", "submitted", "test"), UserError);
  EXPECT_THROW(parse_small_run_points(Json::array(), "small", "submitted", "test"), UserError);
}

class SmallRunLog : public ::testing::Test {
 protected:
  SmallRunLog() : path_(std::filesystem::temp_directory_path() / ("small_run_" + std::to_string(::getpid()))) {}
  ~SmallRunLog() override { std::filesystem::remove(path_); }

  std::optional<SmallRunJudgement> judge(double samples, const std::string& status,
                                         const std::string& variant = "small", const std::string& division = "closed") {
    std::ofstream file(path_);
    const auto line = [&](const std::string& key, const Json& value, const Json& metadata) {
      const Json record = {{"namespace", ""}, {"time_ms", 1},   {"event_type", "POINT_IN_TIME"},
                           {"key", key},      {"value", value}, {"metadata", metadata}};
      file << ":::MLLOG " << record.dump() << '\n';
    };
    line("submission_benchmark", "gpt_oss_20b", Json::object());
    line("submission_division", division, Json::object());
    line("timetrial_variant", variant, Json::object());
    line("timetrial_form", "submitted", Json::object());
    line("timetrial_effective_config", config_, Json::object());
    line("eval_accuracy", 3.9, {{"samples_count", 512}});
    line("eval_accuracy", 3.4, {{"samples_count", samples}});
    if (!status.empty()) line("run_stop", nullptr, {{"status", status}});
    file.close();
    return judge_small_run(path_);
  }
  std::string path_;
  Json config_ = {
      {"train", {{"global_batch", 32}, {"learning_rate", 0.006}, {"warmup_steps", 50}, {"sampler", "single"}}},
      {"evaluation", {{"order", "file"}}}};
};

TEST_F(SmallRunLog, IsJudgedByTheWorkloadsOwnPoints) {
  const auto points = small_run_points("gpt_oss_20b", "small", "submitted");
  ASSERT_TRUE(points);
  ASSERT_GE(points->samples.size(), 20U);
  EXPECT_LT(points->lowest, points->mean);
  EXPECT_EQ(judge(points->mean, "success")->verdict, SmallRunVerdict::as_expected);
  EXPECT_EQ(judge(points->lowest + 1, "success")->verdict, SmallRunVerdict::as_expected);
  EXPECT_EQ(judge(points->lowest - 1, "success")->verdict, SmallRunVerdict::too_early);
  EXPECT_EQ(judge(points->highest + 1, "success")->verdict, SmallRunVerdict::too_late);
  EXPECT_EQ(judge(points->highest + 1, "aborted")->verdict, SmallRunVerdict::missed);
  EXPECT_NE(judge(points->highest + 1, "success")->sentence().find("too late"), std::string::npos);
}

TEST_F(SmallRunLog, OtherSettingsAreNotHeldAgainstTheRun) {
  const double late = small_run_points("gpt_oss_20b", "small", "submitted")->highest + 1;
  EXPECT_TRUE(judge(late, "success")->odd());
  config_["train"]["learning_rate"] = 0.0007;
  const auto slow = judge(late, "success");
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow->verdict, SmallRunVerdict::other_settings);
  EXPECT_FALSE(slow->odd());
  EXPECT_NE(slow->sentence().find("train.learning_rate is 0.0007 in place of 0.006"), std::string::npos);
  config_ = Json();
  EXPECT_EQ(judge(late, "success")->verdict, SmallRunVerdict::other_settings) << "a log without its configuration";
}

TEST_F(SmallRunLog, OthersAreNotJudged) {
  const double mean = small_run_points("gpt_oss_20b", "small", "submitted")->mean;
  EXPECT_FALSE(judge(mean, "success", "custom"));
  EXPECT_FALSE(judge(mean, "success", "full"));
  EXPECT_TRUE(judge(mean, "success", "small", "closed"));
  EXPECT_FALSE(judge(mean, "success", "small", "open")) << "it may have trained something else";
  EXPECT_FALSE(judge(mean, "")) << "unfinished";
  EXPECT_FALSE(judge(mean, "aborted")) << "stopped before anything could be said";
}

}  // namespace
}  // namespace timetrial::results
