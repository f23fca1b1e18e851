// Importing a round: figures of a sound folder, and everything odd named while the rest is kept.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/round.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "results/result_folder.h"
#include "timetrial/base/error.h"
#include "timetrial/results/records.h"

namespace timetrial::results {
namespace {

namespace fs = std::filesystem;

// training_results_v6.0/Org/{systems,results/box/gpt_oss_20b} with ten sound runs.
class Round : public ::testing::Test {
 protected:
  Round() {
    make_results("Org", "box");
    write_system("Org", "box", sound_system());
  }

  static Json sound_system() {
    return {{"submitter", "Org"},
            {"division", "closed"},
            {"status", "Available on-premise"},
            {"system_name", "A box"},
            {"number_of_nodes", "2"},
            {"accelerators_per_node", 4},
            {"accelerator_model_name", "Chip X"},
            {"host_processor_model_name", "CPU"},
            {"framework", "F"}};
  }

  std::string at(const std::string& path) const { return folder_ / "training_results_v6.0/" + path; }

  void make_results(const std::string& organization, const std::string& system) const {
    const std::string path = at(organization + "/results/" + system + "/gpt_oss_20b");
    fs::create_directories(path);
    fs::create_directories(at(organization + "/systems"));
    for (size_t i = 0; i < 10; ++i)
      std::ofstream(path + "/" + test::ResultFolder::name_of(i)) << test::text_of(
          test::log_of({.run_ms = 600000 + 60000 * static_cast<int64_t>(i), .seed = static_cast<int64_t>(i)}));
  }

  void write_system(const std::string& organization, const std::string& system, const Json& json) const {
    std::ofstream(at(organization + "/systems/" + system + ".json")) << json.dump();
  }

  ImportedRound import(const ImportOptions& options = {}) const { return import_round(at(""), options); }

  static bool complains(const ImportedRound& round, const std::string& path, const std::string& what) {
    return std::any_of(round.problems.begin(), round.problems.end(), [&](const ImportProblem& problem) {
      return problem.path.find(path) != std::string::npos && problem.what.find(what) != std::string::npos;
    });
  }

  test::TemporaryFolder folder_;
};

TEST_F(Round, ARecordHoldsSystemRunsAndScore) {
  const ImportedRound round = import();
  EXPECT_TRUE(round.problems.empty()) << round.problems[0].path << ": " << round.problems[0].what;
  EXPECT_EQ(round.ruleset, "6.0.0");
  EXPECT_EQ(round.logs, 10);
  EXPECT_GT(round.bytes, 10000);
  ASSERT_EQ(round.records.size(), 1U);
  const Json& record = round.records[0];
  EXPECT_EQ(record.at("organization"), "Org");
  EXPECT_EQ(record.at("system"), "box");
  EXPECT_EQ(record.at("benchmark"), "gpt_oss_20b");
  EXPECT_EQ(record.at("nodes"), 2);
  EXPECT_EQ(record.at("accelerators"), 8);
  EXPECT_EQ(record.at("accelerator"), "Chip X");
  EXPECT_EQ(record.at("global_batch"), 16);
  EXPECT_EQ(record.at("accumulation"), 1);
  EXPECT_DOUBLE_EQ(record.at("minutes").get<double>(), 14.5);
  EXPECT_EQ(record.at("scaling_source"), "none");
  EXPECT_EQ(record.at("review"), "unverified");
  EXPECT_EQ(record.at("samples"), 196608);
  EXPECT_DOUBLE_EQ(record.at("step_s").get<double>(), 0.4);
  EXPECT_EQ(record.at("runs").size(), 10U);
  EXPECT_EQ(record.at("runs")[0].at("run_ms"), 600000);
  EXPECT_EQ(record.at("runs")[0].at("init_ms"), 90000);
  EXPECT_EQ(record.at("runs")[0].at("fate"), "fastest");
  EXPECT_TRUE(record.at("convergence").at("passed").get<bool>());
}

// Rows stand beside published results, so a small variant gets none and a form is named.
TEST_F(Round, SmallVariantsAreLeftOutAndFormsNamed) {
  const auto rewrite = [&](const std::string& variant) {
    for (int64_t i = 0; i < 10; ++i) {
      test::SampleLog log = test::log_of({.seed = i});
      test::make_own(log, variant, "reference");
      std::ofstream(at("Org/results/box/gpt_oss_20b/") + test::ResultFolder::name_of(static_cast<size_t>(i)))
          << test::text_of(log);
    }
  };
  rewrite("full");
  const ImportedRound full = import();
  EXPECT_TRUE(full.problems.empty());
  EXPECT_EQ(full.records.at(0).at("form"), "reference");
  EXPECT_EQ(load_records(full.to_json(), "test").records.at(0).form, "reference");
  rewrite("custom");
  const ImportedRound custom = import();
  EXPECT_TRUE(custom.records.empty());
  EXPECT_TRUE(complains(custom, "box/gpt_oss_20b", "variant custom: not an MLPerf result"));
}

TEST_F(Round, WhatIsWrittenCanBeListed) {
  const Json document = Json::parse(import().to_json().dump());
  const LoadedRecords loaded = load_records(document, "test");
  EXPECT_TRUE(loaded.problems.empty()) << loaded.problems[0];
  ASSERT_EQ(loaded.records.size(), 1U);
  EXPECT_DOUBLE_EQ(*loaded.records[0].minutes, 14.5);
  EXPECT_FALSE(loaded.records[0].reviewed);
  EXPECT_EQ(loaded.records[0].date, "2026-06-16");
  ImportOptions reviewed;
  reviewed.reviewed = "https://example.org/results";
  const LoadedRecords published = load_records(import(reviewed).to_json(), "test");
  EXPECT_TRUE(published.records[0].reviewed);
  EXPECT_EQ(published.records[0].source, "https://example.org/results");
}

TEST_F(Round, ThreadsDoNotChangeTheResult) {
  make_results("Second", "box");
  write_system("Second", "box", sound_system());
  ImportOptions one, four;
  one.threads = 1;
  four.threads = 4;
  EXPECT_EQ(import(one).to_json(), import(four).to_json());
}

TEST_F(Round, AScalingFileGoesBeforeOurOwnFactor) {
  std::ofstream(at("Org/results/box/gpt_oss_20b/scaling.json")) << R"({"scaling_factor": 1.1})";
  const ImportedRound round = import();
  EXPECT_DOUBLE_EQ(round.records[0].at("minutes").get<double>(), 14.5 * 1.1);
  EXPECT_EQ(round.records[0].at("scaling_source"), "scaling.json");
}

TEST_F(Round, OddSystemFilesAreNamedAndTheRunsKept) {
  fs::remove(at("Org/systems/box.json"));
  ImportedRound round = import();
  EXPECT_TRUE(complains(round, "systems/box.json", "cannot be read"));
  ASSERT_EQ(round.records.size(), 1U);
  EXPECT_TRUE(round.records[0].at("accelerators").is_null());
  EXPECT_DOUBLE_EQ(round.records[0].at("minutes").get<double>(), 14.5);

  std::ofstream(at("Org/systems/box.json")) << "{\"submitter\": ";
  EXPECT_TRUE(complains(import(), "systems/box.json", "not valid JSON"));

  Json odd = sound_system();
  odd["number_of_nodes"] = "two";
  odd["accelerator_model_name"] = nullptr;
  odd.erase("framework");
  write_system("Org", "box", odd);
  round = import();
  EXPECT_TRUE(complains(round, "box.json", "\"number_of_nodes\" is \"two\""));
  EXPECT_TRUE(complains(round, "box.json", "\"accelerator_model_name\" is null"));
  EXPECT_TRUE(complains(round, "box.json", "\"framework\" is missing"));
  EXPECT_EQ(round.records[0].at("accelerators_per_node"), 4);
  EXPECT_TRUE(round.records[0].at("accelerators").is_null());
}

TEST_F(Round, FoldersWithoutLogsLinksInCirclesAndStrangers) {
  fs::create_directories(at("Org/results/empty/gpt_oss_20b"));
  fs::create_directories(at("Org/results/box/resnet"));
  fs::create_directories(at("NoResults/systems"));
  fs::create_directory_symlink("loop", at("Org/results/loop"));
  fs::create_directory_symlink("../..", at("Org/results/box/up"));
  fs::create_directory_symlink("box", at("Org/results/twin"));
  fs::create_directory_symlink("nowhere", at("Org/results/gone"));
  const ImportedRound round = import();
  EXPECT_EQ(round.records.size(), 1U);
  EXPECT_TRUE(complains(round, "empty/gpt_oss_20b", "no file result_*.txt"));
  EXPECT_TRUE(complains(round, "box/resnet", "no benchmark of this ruleset"));
  EXPECT_TRUE(complains(round, "NoResults", "no folder results/"));
  EXPECT_TRUE(complains(round, "results/loop", "symbolic link"));
  EXPECT_TRUE(complains(round, "box/up", "no benchmark of this ruleset"));
  EXPECT_TRUE(complains(round, "twin/gpt_oss_20b", "read already"));
  EXPECT_TRUE(complains(round, "results/gone", "link to nothing"));
}

TEST_F(Round, BrokenLogsAreNamedAndTheOthersKept) {
  make_results("Second", "box");
  write_system("Second", "box", sound_system());
  const std::string path = at("Org/results/box/gpt_oss_20b/");
  std::ofstream(path + "result_0.txt") << "no log at all\n";
  std::ofstream(path + "result_1.txt") << std::string(5000, '\0');
  std::ofstream(path + "result_2.txt") << R"(:::MLLOG {"key": "run_st)";
  const ImportedRound round = import();
  for (const char* file : {"result_0.txt", "result_1.txt", "result_2.txt"})
    EXPECT_TRUE(complains(round, std::string("Org/results/box/gpt_oss_20b/") + file, "")) << file;
  ASSERT_EQ(round.records.size(), 2U);
  EXPECT_TRUE(round.records[0].at("minutes").is_null());
  EXPECT_EQ(round.records[0].at("runs")[5].at("run_ms"), 900000);
  EXPECT_DOUBLE_EQ(round.records[1].at("minutes").get<double>(), 14.5);
}

TEST_F(Round, FoldersThatAreNoRound) {
  EXPECT_THROW(import_round(at("nowhere")), UserError);
  fs::create_directories(folder_ / "v6.0-empty");
  EXPECT_THROW(import_round(folder_ / "v6.0-empty"), DataError);
  EXPECT_THROW(import_round(at("Org")), UserError);  // its name does not say the round
  ImportOptions options;
  options.ruleset = "6.0.0";
  EXPECT_EQ(import_round(at("Org"), options).records.size(), 1U);
  options.ruleset = "4.0.0";
  EXPECT_THROW(import_round(at(""), options), UserError);
}

}  // namespace
}  // namespace timetrial::results
