// What files say of the build they are of, and files that say nothing or are cut short.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/build_identity.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace timetrial::launch {
namespace {

// In this program as CMake puts it into the two programs.
extern const char of_this_test[];
[[gnu::used, gnu::section("timetrial_build")]] const char of_this_test[] = "timetrial build of a test";

struct File {
  explicit File(const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  ~File() { std::filesystem::remove(path); }
  std::string path = testing::TempDir() + "build_identity_test";
};

TEST(BuildIdentity, IsReadFromAProgram) { EXPECT_EQ(build_of("/proc/self/exe"), "timetrial build of a test"); }

TEST(BuildIdentity, OtherFilesNameNone) {
  EXPECT_EQ(build_of("/bin/sh"), "");
  EXPECT_EQ(build_of("/no/such/file"), std::nullopt);
  EXPECT_EQ(build_of(File("").path), std::nullopt);
  EXPECT_EQ(build_of(File("#!/bin/sh\nexec another-program, which may be the worker, \"$@\"\n").path), std::nullopt);
}

TEST(BuildIdentity, AFileCutShortNamesNone) {
  std::ifstream self("/proc/self/exe", std::ios::binary);
  const std::string head(std::istreambuf_iterator<char>(self), {});
  EXPECT_EQ(build_of(File(head).path), "timetrial build of a test");
  for (const size_t bytes : {size_t{64}, size_t{1000}, head.size() / 2, head.size() - 1})
    EXPECT_EQ(build_of(File(head.substr(0, bytes)).path), "") << bytes;
  EXPECT_EQ(build_of(File(head.substr(0, 63)).path), std::nullopt);
}

}  // namespace
}  // namespace timetrial::launch
