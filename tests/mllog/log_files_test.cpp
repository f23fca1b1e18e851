// Folders as arguments: what is found in them, in which order, and what is said of those that cannot be searched.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/log_files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mllog/sample_log.h"
#include "mllog/temporary_folder.h"
#include "timetrial/mllog/check_batch.h"

namespace timetrial::mllog {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

void put(const std::string& path, const std::string& text = test::text_of(test::sound_log())) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// Paths below `folder`; problems as "path: problem".
std::vector<std::string> found(const TemporaryFolder& folder, const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const FoundLog& log : find_logs(arguments)) {
    const std::string path = fs::path(log.path).lexically_relative(folder / "");
    out.push_back(log.problem.empty() ? path : path + ": " + log.problem);
  }
  return out;
}

TEST(LogFiles, AFolderIsSearchedForResultsInNaturalOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"b/result_10.txt", "b/result_2.txt", "b/result_01.txt", "b/result_1.txt", "a/x/result_0.txt",
                           "b/scaling.json", "b/result_.txt", "b/result_3.txt.gz", "b/my_result_3.txt"})
    put(folder / name);
  EXPECT_EQ(found(folder, {folder / ""}),
            (std::vector<std::string>{"a/x/result_0.txt", "b/result_01.txt", "b/result_1.txt", "b/result_2.txt",
                                      "b/result_10.txt"}));
  // What is no folder stands for itself, found or not.
  EXPECT_EQ(found(folder, {folder / "b/scaling.json", folder / "none"}),
            (std::vector<std::string>{"b/scaling.json", "none"}));
}

TEST(LogFiles, WhatWasNamedBeforeCountsOnce) {
  const TemporaryFolder folder;
  put(folder / "a/result_0.txt");
  put(folder / "a/result_1.txt");
  fs::create_symlink("result_0.txt", folder / "a/result_2.txt");  // a log of its own to the folder that holds it
  fs::create_directory_symlink("a", folder / "again");
  fs::create_directories(folder / "empty");
  const std::string a = folder / "a";
  const std::vector<std::string> once = {"a/result_0.txt", "a/result_1.txt", "a/result_2.txt"};
  EXPECT_EQ(found(folder, {a, a}), once);
  EXPECT_EQ(found(folder, {a, folder / "again", a + "/../a/result_1.txt", a + "/result_1.txt"}), once);
  EXPECT_EQ(found(folder, {folder / "a/result_1.txt", a}),
            (std::vector<std::string>{"a/result_1.txt", "a/result_0.txt", "a/result_2.txt"}));
  EXPECT_EQ(find_logs({folder / "empty", folder / "empty"}).size(), 1u);
  EXPECT_EQ(find_logs({folder / "none", folder / "none"}).size(), 1u);
}

TEST(LogFiles, FoldersWithoutLogsAreNamed) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty/deep");
  put(folder / "notes/readme.txt");
  for (const char* name : {"empty", "notes"}) {
    const auto logs = find_logs({folder / name});
    ASSERT_EQ(logs.size(), 1u) << name;
    EXPECT_EQ(logs[0].path, folder / name);
    EXPECT_NE(logs[0].problem.find("holds no log"), std::string::npos);
  }
}

TEST(LogFiles, LinksAreFollowedOnceAndLoopsAreNamed) {
  const TemporaryFolder folder;
  put(folder / "a/result_0.txt");
  put(folder / "elsewhere/result_5.txt");
  fs::create_directory_symlink("..", folder / "a/up");
  fs::create_directory_symlink("../elsewhere", folder / "a/other");
  fs::create_directory_symlink("../elsewhere", folder / "a/other_again");
  fs::create_symlink("self", folder / "a/self");
  fs::create_symlink("result_7.txt", folder / "a/result_7.txt");
  fs::create_symlink("nowhere", folder / "a/result_8.txt");
  EXPECT_EQ(found(folder, {folder / "a"}),
            (std::vector<std::string>{"a/other/result_5.txt", "a/result_0.txt", "a/result_7.txt", "a/result_8.txt",
                                      // Upwards lies a, which is being searched.
                                      "a/up/a: is a symbolic link back to a folder that it lies in; remove it"}));
}

TEST(LogFiles, WhatCannotBeReadIsPartOfTheResult) {
  const TemporaryFolder folder;
  put(folder / "result_0.txt");
  put(folder / "result_1.txt", std::string("\x7f"
                                           "ELF\0\0",
                                           6));
  ASSERT_EQ(mkfifo((folder / "result_2.txt").c_str(), 0600), 0);
  fs::create_symlink("nowhere", folder / "result_3.txt");
  fs::create_symlink("result_4.txt", folder / "result_4.txt");
  std::vector<std::string> arguments = {folder / ""};
  // A file that opens and then cannot be read.
  const bool has_memory_file = fs::exists("/proc/self/mem");
  if (has_memory_file) arguments.push_back("/proc/self/mem");
  const CheckBatch batch = check_batch(Checker(), find_logs(arguments), 2);
  ASSERT_EQ(batch.logs.size(), has_memory_file ? 6u : 5u);
  EXPECT_TRUE(batch.logs[0].report.has_value());
  const char* const reasons[] = {
      "", "binary data", "no regular file", "No such file", "Too many levels", "Input/output error"};
  for (size_t i = 1; i < batch.logs.size(); ++i) {
    EXPECT_FALSE(batch.logs[i].report.has_value()) << i;
    EXPECT_EQ(batch.logs[i].unusable.rfind(batch.logs[i].path, 0), 0u) << batch.logs[i].unusable;
    EXPECT_NE(batch.logs[i].unusable.find(reasons[i]), std::string::npos) << batch.logs[i].unusable;
  }
  EXPECT_EQ(batch.verdict_sentence(), fmt::format("1 of {} logs pass (ruleset 6.0.0); {} cannot be used",
                                                  batch.logs.size(), batch.logs.size() - 1));
}

TEST(LogFiles, AFolderThatMayNotBeReadIsNamed) {
  if (geteuid() == 0) GTEST_SKIP() << "the superuser may read everything";
  const TemporaryFolder folder;
  put(folder / "a/result_0.txt");
  put(folder / "b/result_0.txt");
  fs::permissions(folder / "a", fs::perms::none);
  const auto logs = find_logs({folder / ""});
  fs::permissions(folder / "a", fs::perms::owner_all);
  ASSERT_EQ(logs.size(), 2u);
  EXPECT_NE(logs[0].problem.find("Permission denied"), std::string::npos) << logs[0].problem;
}

TEST(CheckBatch, ThreadsChangeNothing) {
  const TemporaryFolder folder;
  std::vector<FoundLog> logs;
  for (int i = 0; i < 40; ++i) {
    test::SampleLog log = test::sound_log();
    if (i % 3 == 0) test::find(log, "opt_name").value = i;
    if (i % 7 == 0) log.resize(30);
    put(folder / fmt::format("result_{}.txt", i), test::text_of(log));
  }
  const Checker checker;
  const Json one = check_batch(checker, find_logs({folder / ""}), 1).to_json();
  EXPECT_EQ(one["logs"].size(), 40u);
  EXPECT_EQ(one["failed"], 12);
  EXPECT_EQ(one["unfinished"], 6);
  EXPECT_EQ(one["passed"], 22);
  EXPECT_EQ(one["sentence"], "22 of 40 logs pass (ruleset 6.0.0); 12 fail, 6 are unfinished");
  EXPECT_EQ(one["logs"][3]["errors"][0]["file"], folder / "result_3.txt");
  for (int threads : {0, 2, 8}) EXPECT_EQ(check_batch(checker, find_logs({folder / ""}), threads).to_json(), one);
}

TEST(CheckBatch, SentenceOfAPassingBatch) {
  const TemporaryFolder folder;
  put(folder / "result_0.txt");
  put(folder / "training_results_v5.1/result_0.txt");
  Checker checker({.ruleset = "auto", .scaled = std::nullopt});
  EXPECT_EQ(check_batch(checker, find_logs({folder / "result_0.txt"})).verdict_sentence(),
            "all 1 logs pass (ruleset 6.0.0)");
  // gpt_oss_20b is no benchmark of 5.1.0, but the folder says which round it is.
  const CheckBatch both = check_batch(checker, find_logs({folder / ""}));
  EXPECT_EQ(both.verdict_sentence(), "1 of 2 logs pass (rulesets 5.1.0, 6.0.0); 1 fails");
  EXPECT_EQ(both.logs[1].report->ruleset_chosen_by, "folder");
  EXPECT_EQ(both.logs[0].report->ruleset_chosen_by, "default");
}

}  // namespace
}  // namespace timetrial::mllog
