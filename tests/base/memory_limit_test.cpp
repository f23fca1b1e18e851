// Memory limits of control groups, on made-up trees of the kernel's files.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/base/memory_limit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace timetrial {
namespace {

class MemoryLimits : public ::testing::Test {
 protected:
  MemoryLimits() {
    std::string name = std::filesystem::temp_directory_path() / "timetrial_memory_XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~MemoryLimits() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  std::string root_;
};

TEST_F(MemoryLimits, WithoutGroupsItIsTheMachines) {
  const MemoryLimit limit = memory_limit(root_);
  EXPECT_EQ(limit.of, "this machine");
  EXPECT_GT(limit.bytes, size_t{1} << 27);
}

TEST_F(MemoryLimits, TheSmallestOfTheGroupAndItsParentsCounts) {
  write("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  write("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  write("/sys/fs/cgroup/slurm/job_7/memory.max", "1000000\n");
  write("/sys/fs/cgroup/slurm/memory.max", "2000000\n");
  const MemoryLimit limit = memory_limit(root_);
  EXPECT_EQ(limit.bytes, 1000000U);
  EXPECT_EQ(limit.of, "this job (memory.max of /slurm/job_7)");
}

TEST_F(MemoryLimits, VersionOneHasItsOwnTreeAndNames) {
  write("/proc/self/cgroup", "12:cpu,cpuacct:/a\n7:hugetlb,memory:/docker/x\n1:name=systemd:/b\n");
  write("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "3000000\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");  // what "no limit" looks like there
  EXPECT_EQ(memory_limit(root_).bytes, 3000000U);
}

TEST_F(MemoryLimits, InsideAContainerTheMountIsTheGroup) {
  write("/proc/self/cgroup", "0::/not/visible/here\n");
  write("/sys/fs/cgroup/memory.max", "4000000\n");
  EXPECT_EQ(memory_limit(root_).bytes, 4000000U);
}

TEST_F(MemoryLimits, WhatCannotBeReadSetsNone) {
  write("/proc/self/cgroup", "rubbish\n0::/a\n::\n");
  write("/sys/fs/cgroup/a/memory.max", "12 apples");
  EXPECT_EQ(memory_limit(root_).of, "this machine");
  write("/sys/fs/cgroup/a/memory.max", "-1");
  EXPECT_EQ(memory_limit(root_).of, "this machine");
  write("/sys/fs/cgroup/a/memory.max", "5e9");
  EXPECT_EQ(memory_limit(root_).of, "this machine");
}

}  // namespace
}  // namespace timetrial
