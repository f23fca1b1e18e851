// What the supervisor keeps of its programs' output, and what it leaves behind when one cannot be started.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "timetrial/base/error.h"

namespace timetrial::launch {
namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "supervisor-XXXXXX";
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// What a program that prints `text` in one piece is heard to say.
std::string heard(const std::string& text) {
  const Folder folder;
  std::ofstream(folder / "text") << text;
  const Endings endings = supervise(
      {.programs = {
           {.name = "cat", .arguments = {"cat", folder / "text"}, .variables = {}, .output = folder / "out"}}});
  std::ifstream written(folder / "out");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(written), {}), text);
  return endings.exits.at(0).said;
}

TEST(Supervisor, HearsALineWhereverItIsCut) {
  const std::string line = "timetrial: rank 3 has no memory left\n";
  // Pipes are read in pieces of 4,096 bytes: cut in the middle of the line, of its beginning, and just before it.
  for (const size_t before : {4096 - 20, 4096 - 4, 4096, 2 * 4096 - 1})
    EXPECT_EQ(heard(std::string(before - 1, 'x') + "\n" + line + "more\n"), line) << before;
}

TEST(Supervisor, HearsALastLineWithoutAnEnd) {
  EXPECT_EQ(heard("working\ntimetrial: out of disk"), "timetrial: out of disk\n");
}

TEST(Supervisor, HearsNoLineInTheMiddleOfAnother) {
  EXPECT_EQ(heard(std::string(4096, 'x') + "timetrial: no line\n"), "");
}

// The first program has files enough, the second one has not: an error of the system, not of the user.
TEST(Supervisor, LeavesNothingBehindWhenThereIsNoPipe) {
#ifdef TIMETRIAL_SANITIZED
  GTEST_SKIP() << "the sanitizer opens files of its own when it looks at objects, and here there are none to open";
#endif
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<int> files;  // what is free up to the limit: the signals, and two pipes of which one end stays
  for (int i = 0; i < 5; ++i) files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit few{.rlim_cur = static_cast<rlim_t>(files.back()) + 1, .rlim_max = before.rlim_max};
  for (const int file : files) close(file);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const Program sleeper{.name = "sleep", .arguments = {"sleep", "60"}, .variables = {}, .output = "/nowhere/out"};
  try {
    supervise({.programs = {sleeper, sleeper}});
    ADD_FAILURE() << "a program was started without a pipe";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no pipe can be made"), std::string::npos) << error.what();
  }
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a program still runs";
  EXPECT_EQ(errno, ECHILD);
  const int free = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(free, files.front()) << "a file was left open";
  close(free);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace timetrial::launch
