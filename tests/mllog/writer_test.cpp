// The log writer: format, order under threads, death of the process, files it must not touch, full disks.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/writer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>
#include <vector>

#include "mllog/temporary_folder.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {
namespace {

using test::TemporaryFolder;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

Json object_of(const std::string& line) {
  EXPECT_EQ(line.rfind(kToken, 0), 0u) << line;
  return Json::parse(line.substr(kToken.size()));
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no UserError";
}

// Of what the machine did wrong, not the user.
std::string machine_error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UserError& error) {
    return std::string("a UserError: ") + error.what();
  } catch (const Error& error) {
    return error.what();
  }
  return "no Error";
}

TEST(LogWriter, LineHasTheOfficialFieldsInTheOfficialOrderAndSpacing) {
  TemporaryFolder folder;
  const int64_t before = unix_milliseconds();
  int line = 0;
  {
    Writer writer(folder / "log.txt");
    writer.interval_end("run_stop", nullptr, {{"status", "success"}, {"samples_count", 12288}}), line = __LINE__;
  }
  const auto lines = lines_of(folder / "log.txt");
  ASSERT_EQ(lines.size(), 1u);
  const std::regex form(
      R"re(:::MLLOG \{"namespace": "", "time_ms": (\d+), "event_type": "INTERVAL_END", "key": "run_stop", "value": null, )re"
      R"re("metadata": \{"file": "writer_test.cpp", "lineno": (\d+), "samples_count": 12288, "status": "success"\}\})re");
  std::smatch match;
  ASSERT_TRUE(std::regex_match(lines[0], match, form)) << lines[0];
  EXPECT_GE(std::stoll(match[1]), before);
  EXPECT_LE(std::stoll(match[1]), unix_milliseconds());
  EXPECT_EQ(std::stoi(match[2]), line);
}

TEST(LogWriter, EventTypesFollowTheCall) {
  TemporaryFolder folder;
  {
    Writer writer(folder / "log.txt");
    writer.event("seed", 7);
    writer.interval_start("run_start", nullptr);
    writer.interval_end("run_stop", nullptr);
    writer.event("seed", 7, {{"a", 1}});
    writer.interval_start("run_start", nullptr, {{"a", 1}});
    writer.interval_end("run_stop", nullptr, {{"a", 1}});
  }
  const auto lines = lines_of(folder / "log.txt");
  ASSERT_EQ(lines.size(), 6u);
  const char* types[] = {"POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END"};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(object_of(lines[i])["event_type"], types[i % 3]);
    EXPECT_EQ(object_of(lines[i])["metadata"].contains("a"), i >= 3);
  }
}

TEST(LogWriter, NumbersReadBackExactlyAndDoublesStayDoubles) {
  TemporaryFolder folder;
  const double infinity = std::numeric_limits<double>::infinity();
  {
    Writer writer(folder / "log.txt");
    writer.event("x", Json::array({0.1, 1.0, 1e-05, 8.888888888888889e-05, 5e-324, 1e22, 1574207408, true}));
    writer.event("x", Json::array({std::nan(""), infinity, -infinity}));
    writer.event("x", {{"a", "caf\u00e9 \"q\"\n"}, {"b", Json::array()}, {"c", Json::object()}});
  }
  const auto lines = lines_of(folder / "log.txt");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NE(lines[0].find("\"value\": [0.1, 1.0, 1e-05, 8.888888888888889e-05, 5e-324, 1e+22, 1574207408, true]"),
            std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find("\"value\": [NaN, Infinity, -Infinity]"), std::string::npos) << lines[1];
  EXPECT_NE(lines[2].find(R"("value": {"a": "caf\u00e9 \"q\"\n", "b": [], "c": {}})"), std::string::npos) << lines[2];
}

TEST(LogWriter, MetadataMayReplaceFileAndLine) {
  TemporaryFolder folder;
  {
    Writer writer(folder / "log.txt");
    writer.event("seed", 7, {{"file", "other.cpp"}, {"lineno", 3}, {"z", 1}});
  }
  EXPECT_NE(lines_of(folder / "log.txt").at(0).find(R"("metadata": {"file": "other.cpp", "lineno": 3, "z": 1}})"),
            std::string::npos);
}

TEST(LogWriter, ThreadsNeverMixLinesAndStampsAreInFileOrder) {
  TemporaryFolder folder;
  constexpr int kThreads = 8, kEach = 500;
  {
    Writer writer(folder / "log.txt");
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&writer, t] {
        for (int i = 0; i < kEach; ++i) writer.event("tracked_stats", i, {{"thread", t}});
      });
    for (std::thread& thread : threads) thread.join();
  }
  const auto lines = lines_of(folder / "log.txt");
  ASSERT_EQ(lines.size(), static_cast<size_t>(kThreads * kEach));
  int next[kThreads] = {};
  int64_t last = 0;
  for (const std::string& line : lines) {
    const Json record = object_of(line);
    EXPECT_EQ(record["value"].get<int>(), next[record["metadata"]["thread"].get<int>()]++);
    EXPECT_GE(record["time_ms"].get<int64_t>(), last);
    last = record["time_ms"].get<int64_t>();
  }
}

TEST(LogWriter, FlushMeansOnDiskWhileTheWriterLives) {
  TemporaryFolder folder;
  Writer writer(folder / "log.txt");
  for (int i = 0; i < 100; ++i) {
    writer.event("seed", i);
    writer.flush();
    ASSERT_EQ(lines_of(folder / "log.txt").size(), static_cast<size_t>(i + 1));
  }
}

TEST(LogWriter, KilledProcessLeavesWholeLines) {
  TemporaryFolder folder;
  const std::string path = folder / "log.txt";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Writer writer(path);
    // Bounded, in case the parent dies before it kills: about 100 MB.
    for (int64_t i = 0; i < 200000; ++i) {
      writer.event("tracked_stats", i, {{"padding", std::string(static_cast<size_t>(i % 700), 'x')}});
      if (i % 100 == 99) writer.flush();
    }
    _exit(0);
  }
  for (int wait = 0; wait < 2000; ++wait) {
    std::error_code none;
    if (std::filesystem::exists(path) && std::filesystem::file_size(path, none) > 200000) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ASSERT_EQ(kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto lines = lines_of(path);
  ASSERT_GT(lines.size(), 100u);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(object_of(lines[i])["value"].get<size_t>(), i);
}

TEST(LogWriter, ExistingFileIsRefusedAndUntouched) {
  TemporaryFolder folder;
  std::ofstream(folder / "log.txt") << "kept\n";
  const std::string message = message_of([&] { Writer writer(folder / "log.txt"); });
  EXPECT_EQ(message, std::string(folder / "log.txt") +
                         ": exists already, and logs are never overwritten; choose another output folder");
  EXPECT_EQ(lines_of(folder / "log.txt"), std::vector<std::string>{"kept"});
}

TEST(LogWriter, MissingFolderIsNotMade) {
  TemporaryFolder folder;
  const std::string message = message_of([&] { Writer writer(folder / "none/log.txt"); });
  EXPECT_NE(message.find("No such file or directory"), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

// A file size limit stands for the full disk: the same failure of write(2), without one.
TEST(LogWriter, WriteFailureIsThrownByFlushAndByEveryLaterCall) {
  TemporaryFolder folder;
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 4096;
  std::string on_flush, on_event;
  {
    Writer writer(folder / "log.txt");
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    writer.event("seed", 1);
    writer.event("long", std::string(5000, 'x'));
    on_flush = machine_error_of([&] { writer.flush(); });
    on_event = machine_error_of([&] { writer.event("seed", 2); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  }
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(on_flush, folder / "log.txt" +
                          ": cannot write the log (File too large); free the disk or choose another output folder");
  EXPECT_EQ(on_flush.find('\n'), std::string::npos);
  EXPECT_EQ(on_event, on_flush);
  const auto lines = lines_of(folder / "log.txt");
  ASSERT_EQ(lines.size(), 1u) << "half a line stayed where the limit was";
  EXPECT_EQ(object_of(lines[0])["value"], 1);
}

TEST(LogWriter, ReservedWordsAreRefusedAnywhereButAsTheirOwnKey) {
  TemporaryFolder folder;
  {
    Writer writer(folder / "log.txt");
    for (const std::string_view word : kReservedWords) writer.event(word, 1);
    const std::string word(kReservedWords[2]);
    for (const auto& call : std::vector<std::function<void()>>{
             [&] { writer.event("config_filename", word + "_test.json"); },
             [&] { writer.event("note", word); },
             [&] { writer.event(word + "_best", 1); },
             [&] {
               writer.event("note", {{word, 1}});
             },
             [&] {
               writer.event("note", Json::array({1, Json{{"a", word}}}));
             },
             [&] {
               writer.event("note", 1, {{"key", word}});
             },
             [&] {
               writer.event(word, 3.3, {{"of", word}});
             },
         }) {
      EXPECT_NE(message_of(call).find("holds \"eval_accuracy\""), std::string::npos) << message_of(call);
    }
    EXPECT_NE(message_of([&] { writer.event("note", "a :::MLLOG b"); }).find("starts a record"), std::string::npos);
  }
  EXPECT_EQ(lines_of(folder / "log.txt").size(), std::size(kReservedWords));
}

TEST(LogWriter, MetadataThatIsNoObjectIsABug) {
  TemporaryFolder folder;
  Writer writer(folder / "log.txt");
  EXPECT_THROW(writer.event("seed", 1, Json::array({1})), Error);
}

}  // namespace
}  // namespace timetrial::mllog
