// A folder's score: what is dropped, what is scaled, what is refused, and the words that must stand beside it.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "results/result_folder.h"
#include "timetrial/base/error.h"
#include "timetrial/results/wording.h"

namespace timetrial::results {
namespace {

using test::ResultFolder;
using test::SampleLog;
using test::SampleRun;

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Score, IsTheMeanWithoutFastestAndSlowest) {
  const ResultFolder folder;
  test::fill(folder);
  const Score score = score_folder(folder.path());
  ASSERT_TRUE(score.passed()) << score.sentence();
  EXPECT_DOUBLE_EQ(*score.minutes, 14.5);
  EXPECT_EQ(score.runs[0].fate, RunFate::fastest);
  EXPECT_EQ(score.runs[9].fate, RunFate::slowest);
  EXPECT_EQ(score.runs[4].fate, RunFate::counts);
  EXPECT_EQ(score.runs_required, 10);
  EXPECT_TRUE(score.convergence_applies);
  EXPECT_FALSE(score.scaling_file.has_value());  // 196608 samples: slower than the reference's 194560
}

TEST(Score, UnverifiedStandsBesideEveryScoreAndInTheFootnote) {
  const ResultFolder folder;
  test::fill(folder);
  const Score score = score_folder(folder.path());
  EXPECT_TRUE(holds(score.sentence(), "14.500 minutes (unverified [1])")) << score.sentence();
  EXPECT_EQ(
      score.footnote(),
      "[1] Unverified MLPerf® Training v6.0 Closed gpt_oss_20b. Result not verified by MLCommons Association. The "
      "MLPerf name and logo are registered and unregistered trademarks of MLCommons Association in the United States "
      "and other countries. All rights reserved. Unauthorized use strictly prohibited. See www.mlcommons.org for "
      "more information.");
  const Json json = score.to_json();
  EXPECT_EQ(json.at("review"), "unverified");
  EXPECT_EQ(json.at("footnote"), score.footnote());
}

TEST(Score, FasterConvergenceScalesAndWritesNothing) {
  const ResultFolder folder;
  test::fill(folder, 190000);
  const Score score = score_folder(folder.path());
  ASSERT_TRUE(score.passed()) << score.sentence();
  EXPECT_EQ(score.scaling_file, "{\"scaling_factor\": 1.024}");
  EXPECT_DOUBLE_EQ(*score.minutes, 14.5 * 1.024);
  EXPECT_DOUBLE_EQ(*score.mean_minutes, 14.5);
  EXPECT_TRUE(holds(score.sentence(), "x 1.024000")) << score.sentence();
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 10U);
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/scaling.json"));
}

TEST(Score, AScalingFileThatSaysOtherwiseIsNoted) {
  const ResultFolder folder;
  test::fill(folder);
  folder.write_file("scaling.json", "{\"scaling_factor\": 1.5}");
  const Score score = score_folder(folder.path());
  EXPECT_EQ(score.scaling_file_there, 1.5);
  ASSERT_EQ(score.notes.size(), 1U);
  EXPECT_TRUE(holds(score.notes[0], "1.5"));
  EXPECT_DOUBLE_EQ(*score.minutes, 14.5);
  folder.write_file("scaling.json", "{\"scaling_factor\": \"1.5\"}");
  EXPECT_TRUE(holds(score_folder(folder.path()).notes.at(0), "scaling_factor"));
}

TEST(Score, TooFastConvergenceIsNoScore) {
  const ResultFolder folder;
  test::fill(folder, 180000);
  const Score score = score_folder(folder.path());
  EXPECT_FALSE(score.passed());
  EXPECT_TRUE(holds(score.sentence(), "no score: convergence check")) << score.sentence();
  EXPECT_TRUE(holds(score.sentence(), "not an MLPerf result")) << score.sentence();
  EXPECT_FALSE(holds(score.sentence(), "unverified"));
  EXPECT_TRUE(score.footnote().empty());
  EXPECT_TRUE(score.to_json().at("minutes").is_null());
  EXPECT_TRUE(score_folder(folder.path(), {.ruleset = "6.0.0", .bypass = true, .threads = 1}).passed());
  folder.write_file("package_checker_params", "rcp-bypass\n");
  const Score overlooked = score_folder(folder.path());
  EXPECT_FALSE(overlooked.passed());
  EXPECT_TRUE(holds(overlooked.notes.at(0), "line end"));
  folder.write_file("package_checker_params", "seed-checker-bypass\nrcp-bypass");
  EXPECT_TRUE(score_folder(folder.path()).passed());
}

TEST(Score, OneBrokenLogIsTheSlowestRun) {
  const ResultFolder folder;
  test::fill(folder);
  SampleLog broken = test::log_of({.seed = 3});
  test::find(broken, "opt_name").value = "sgd";
  folder.put(3, broken);
  const Score score = score_folder(folder.path());
  ASSERT_TRUE(score.passed()) << score.sentence();
  EXPECT_EQ(score.runs[3].fate, RunFate::excluded);
  EXPECT_EQ(score.runs[9].fate, RunFate::counts);
  EXPECT_DOUBLE_EQ(*score.minutes, (11.0 + 12 + 14 + 15 + 16 + 17 + 18 + 19) / 8);
  EXPECT_TRUE(holds(score.notes.at(0), "result_3.txt") && holds(score.notes.at(0), "opt_name")) << score.notes[0];
  test::find(broken, "opt_name").value = "adam";
  test::find(broken, "seed").value = 5;
  folder.put(5, broken);
  const Score two = score_folder(folder.path());
  EXPECT_FALSE(two.passed());
  EXPECT_FALSE(two.mean_minutes.has_value());
  EXPECT_TRUE(holds(two.sentence(), "2 logs break the rules")) << two.sentence();
  EXPECT_TRUE(holds(two.sentence(), "result_3.txt, result_5.txt"));
}

TEST(Score, UnreadableFileAndHalfARecordAreNamed) {
  const ResultFolder folder;
  test::fill(folder);
  std::filesystem::remove(folder.path() + "/result_2.txt");
  std::filesystem::create_directory(folder.path() + "/result_2.txt");
  const Score score = score_folder(folder.path());
  EXPECT_EQ(score.runs[2].fate, RunFate::excluded);
  EXPECT_TRUE(holds(score.runs[2].verdict, "result_2.txt")) << score.runs[2].verdict;
  EXPECT_FALSE(score.passed());  // the convergence check dies on it too
  EXPECT_TRUE(holds(score.problems.at(0), "result_2.txt")) << score.problems[0];
  std::filesystem::remove(folder.path() + "/result_2.txt");
  const std::string text = test::text_of(test::log_of({}));
  folder.write_file("result_2.txt", text.substr(0, text.size() - 20));
  EXPECT_EQ(score_folder(folder.path()).runs[2].fate, RunFate::excluded);
}

TEST(Score, NumberOfRunsIsExact) {
  const ResultFolder folder;
  for (size_t i = 0; i < 3; ++i) folder.put(i);
  const Score score = score_folder(folder.path());
  EXPECT_FALSE(score.passed());
  EXPECT_TRUE(holds(score.sentence(), "3 logs, and the rules ask for exactly 10")) << score.sentence();
  EXPECT_DOUBLE_EQ(*score.mean_minutes, 10);
}

TEST(Score, FoldersThatAreNone) {
  const ResultFolder folder;
  EXPECT_THROW(score_folder(folder.path()), DataError);
  EXPECT_THROW(score_folder(folder.path() + "/nowhere"), DataError);
  folder.put(0);
  EXPECT_THROW(score_folder(folder.path() + "/result_0.txt"), DataError);
  EXPECT_THROW(score_folder(folder.path(), {.ruleset = "1.0.0", .bypass = false, .threads = 1}), UserError);
}

TEST(Score, OpenDivisionHasNoConvergenceCheck) {
  const ResultFolder folder;
  for (size_t i = 0; i < 10; ++i) {
    SampleLog log = test::log_of({.run_ms = 600000, .samples = 1000});
    test::find(log, "submission_division").value = "open";
    folder.put(i, log);
  }
  const Score score = score_folder(folder.path());
  EXPECT_TRUE(score.passed()) << score.sentence();
  EXPECT_FALSE(score.convergence_applies);
  EXPECT_FALSE(score.scaling_file.has_value());
  EXPECT_TRUE(holds(score.footnote(), "v6.0 Open gpt_oss_20b"));
}

TEST(Score, SmallVariantIsNeverComparedAndCarriesNoMlperfWording) {
  const ResultFolder folder;
  for (size_t i = 0; i < 2; ++i) {
    SampleLog log = test::log_of({.run_ms = 60000 + 60000 * static_cast<int64_t>(i)});
    test::find(log, "eval_samples").value = 32;
    test::insert_before(log, "init_stop",
                        {"timetrial_scaled_rule", {{"key", "eval_samples"}, {"description", "s"}, {"expected", 32}}});
    folder.put(i, log);
  }
  const Score score = score_folder(folder.path());
  EXPECT_TRUE(score.variant);
  ASSERT_TRUE(score.passed()) << score.sentence();
  EXPECT_DOUBLE_EQ(*score.minutes, 1.5);  // of both: nothing is dropped of two
  EXPECT_TRUE(holds(score.sentence(), small_variant_words(""))) << score.sentence();
  EXPECT_TRUE(score.footnote().empty());
  const Json json = score.to_json();
  EXPECT_TRUE(json.at("review").is_null());
  EXPECT_TRUE(json.at("convergence").is_null());
  for (const char* word : {"unverified", "MLPerf®", "reference", "RCP"}) {
    EXPECT_FALSE(holds(score.sentence(), word)) << word;
    EXPECT_FALSE(holds(json.dump(), word)) << word;
  }
}

TEST(Score, StepTimesAndOtherFacts) {
  const ResultFolder folder;
  test::fill(folder);
  const Score score = score_folder(folder.path());
  const RunFacts& facts = score.runs[0].facts;
  EXPECT_EQ(facts.run_ms, 600000);
  EXPECT_EQ(facts.init_ms, 90000);
  EXPECT_EQ(facts.samples, 196608);
  EXPECT_EQ(facts.evaluations, 2);
  EXPECT_EQ(facts.evaluation_ms, 60000);
  EXPECT_EQ(facts.batch, 16);
  EXPECT_EQ(facts.seed, 1234);
  EXPECT_EQ(facts.status, "success");
  ASSERT_TRUE(facts.steps.has_value());
  EXPECT_EQ(facts.steps->source, "train_step_time");
  EXPECT_EQ(facts.steps->count, 3);
  EXPECT_DOUBLE_EQ(facts.steps->median, 0.4);
  ASSERT_TRUE(score.steps.has_value());
  EXPECT_EQ(score.steps->runs, 10);
  EXPECT_DOUBLE_EQ(score.steps->median, 0.4045);
  EXPECT_NEAR(score.steps->step_spread, 0.009 / 0.4045, 1e-12);
  EXPECT_NEAR(score.steps->run_spread, 9 / 14.5, 1e-12);
}

TEST(RunFacts, ThroughputAndBlocksStandInForStepTimes) {
  const ResultFolder folder;
  SampleLog log = test::log_of({});
  test::remove(log, "tracked_stats");
  for (test::SampleRecord& record : log) {
    if (record.key == "block_start") record.time_ms = 2000000;
    if (record.key == "block_stop") record.time_ms = 2000000 + 76800;  // 12288 samples, 768 steps of 16
  }
  folder.put(0, log);
  const RunFacts blocks = read_run_facts(folder.path() + "/result_0.txt");
  ASSERT_TRUE(blocks.steps.has_value());
  EXPECT_EQ(blocks.steps->source, "blocks");
  EXPECT_DOUBLE_EQ(blocks.steps->median, 0.1);
  test::insert_before(log, "run_start", {"tracked_stats", {{"throughput", 1}}});
  test::insert_before(log, "run_stop", {"tracked_stats", {{"throughput", 32}}});
  test::insert_before(log, "run_stop", {"tracked_stats", {{"throughput", "64"}}});
  folder.put(0, log);
  const RunFacts rate = read_run_facts(folder.path() + "/result_0.txt");
  EXPECT_EQ(rate.steps->source, "throughput");
  EXPECT_EQ(rate.steps->count, 1);  // the warm-up's and the text count for nothing
  EXPECT_DOUBLE_EQ(rate.steps->median, 0.5);
}

TEST(RunFacts, ABlocksMeanIsNoStepWhereStepsAreLogged) {
  const ResultFolder folder;
  SampleLog log = test::log_of({});
  for (const double seconds : {0.2, 0.2, 0.3})
    test::insert_before(log, "run_stop",
                        {"tracked_stats", {{"train_step_time", seconds}, {"reduced_train_loss", 4.0}}});
  folder.put(0, log);
  const RunFacts facts = read_run_facts(folder.path() + "/result_0.txt");
  EXPECT_EQ(facts.steps->count, 3);
  EXPECT_DOUBLE_EQ(facts.steps->median, 0.2);
  EXPECT_DOUBLE_EQ(facts.steps->most, 0.3);
}

TEST(RunFacts, OddValuesAreAbsent) {
  const ResultFolder folder;
  SampleLog log = test::log_of({});
  test::find(log, "global_batch_size").value = "16";
  test::find(log, "seed").value = Json::object();
  test::find(log, "gradient_accumulation_steps").value = nullptr;
  test::find(log, "submission_org").value = 7;
  folder.put(0, log);
  const RunFacts facts = read_run_facts(folder.path() + "/result_0.txt");
  EXPECT_FALSE(facts.batch || facts.seed || facts.accumulation);
  EXPECT_TRUE(facts.organization.empty());
  EXPECT_TRUE(facts.run_ms.has_value());
}

}  // namespace
}  // namespace timetrial::results
