// Made-up hosts, each with one thing wrong, and this one.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/host_check.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace timetrial::launch {
namespace {

const HostNeeds kEightGpus{.ranks = 16,
                           .local_ranks = 8,
                           .gpus = true,
                           .several_hosts = true,
                           .folder = "runs/a",
                           .checkpoint = "big/w",
                           .checkpoint_bytes = 40'000'000'000,
                           .data_files = {"d.idx"}};

HostFacts sound() {
  HostFacts facts;
  facts.host = "n1";
  facts.shared_memory = 64'000'000'000;
  facts.shared_memory_free = 60'000'000'000;
  facts.open_files = 1024;
  facts.disk_free = 1'000'000'000;
  facts.checkpoint_free = 40'000'000'000;
  facts.data_files = {{"d.idx", ""}};
  facts.governor = "performance";
  facts.frequency_driver = "acpi-cpufreq";
  facts.gpus = {{"cuda:0", 0, {}}};
  return facts;
}

// The only finding that is not fine, as "level: text".
std::string wrong(const HostFacts& facts, const HostNeeds& needs = kEightGpus) {
  std::string text;
  for (const Finding& finding : judge_host(facts, needs))
    if (finding.level != Level::fine) text += name_of(finding.level) + ": " + finding.text + "\n";
  return text;
}

TEST(JudgeHost, SaysNothingOfASoundOne) {
  EXPECT_EQ(wrong(sound()), "");
  EXPECT_EQ(judge_host(sound(), kEightGpus).size(), 8u);
}

TEST(JudgeHost, SmallSharedMemory) {
  HostFacts facts = sound();
  facts.shared_memory = 64'000'000;
  facts.shared_memory_free = 63'000'000;
  EXPECT_EQ(wrong(facts),
            "warning: host n1: /dev/shm has 63.00 MB free of 64.00 MB; 8 ranks talk through it and may need 1.02 GB: "
            "delete what lies there, or mount it larger (containers: --shm-size, or --ipc=host)\n");
  HostNeeds cpus = kEightGpus;
  cpus.gpus = false;
  cpus.local_ranks = 7;
  EXPECT_EQ(wrong(facts, cpus), "");  // 56 MB
  cpus.local_ranks = 8;
  EXPECT_NE(wrong(facts, cpus), "");
  cpus.local_ranks = 1;
  facts.shared_memory_free = 0;
  EXPECT_EQ(wrong(facts, cpus), "");
}

TEST(JudgeHost, LockedMemoryMattersBetweenHosts) {
  HostFacts facts = sound();
  facts.locked_memory = 8'388'608;
  EXPECT_EQ(wrong(facts).find("warning: host n1: 8.39 MB of memory may be locked (ulimit -l)"), 0u);
  HostNeeds one = kEightGpus;
  one.several_hosts = false;
  EXPECT_EQ(wrong(facts, one), "");
}

TEST(JudgeHost, FewOpenFiles) {
  HostFacts facts = sound();
  facts.open_files = 255;
  EXPECT_EQ(wrong(facts).find(
                "error: host n1: 255 files may be open at once (hard limit); each process of a run on 16 ranks needs "
                "256 here: raise \"nofile\""),
            0u)
      << wrong(facts);
  facts.open_files = 256;
  EXPECT_EQ(wrong(facts), "");
}

TEST(JudgeHost, ConnectionsCountWhereTheyAre) {
  HostFacts facts = sound();
  HostNeeds needs = kEightGpus;
  needs.ranks = 8192;
  facts.open_files = 256;
  EXPECT_EQ(wrong(facts, needs), "") << "rank 0 is elsewhere";
  needs.serves = true;
  EXPECT_NE(wrong(facts, needs).find("each process of a run on 8192 ranks needs 8448 here"), std::string::npos);
  facts.open_files = 8448;
  EXPECT_EQ(wrong(facts, needs), "");
  needs.gpus = false;  // MPI's, too
  EXPECT_NE(wrong(facts, needs).find("each process of a run on 8192 ranks needs 16640 here"), std::string::npos);
}

TEST(JudgeHost, FullDisk) {
  HostFacts facts = sound();
  facts.disk_free = 99'000'000;  // the log says itself when it cannot be written
  EXPECT_EQ(wrong(facts).find("warning: host n1: 99.00 MB free for output.folder runs/a; logs may need 100.00 MB"), 0u);
  facts = sound();
  facts.checkpoint_free = 39'999'000'000;
  EXPECT_EQ(wrong(facts).find("error: host n1: 40.00 GB free for output.checkpoint big/w; the weights need 40.00 GB"),
            0u);
}

TEST(JudgeHost, DataThatIsNotThere) {
  HostFacts facts = sound();
  facts.data_files = {{"d.idx", "No such file or directory"}, {"d.bin", "Permission denied"}};
  EXPECT_EQ(wrong(facts),
            "error: host n1: data file d.idx cannot be read (No such file or directory); every rank reads it: copy it "
            "to this host, or give a path on a shared file system\n"
            "error: host n1: data file d.bin cannot be read (Permission denied); every rank reads it: copy it to this "
            "host, or give a path on a shared file system\n");
}

TEST(JudgeHost, DataCountsWhateverElseIsWrong) {
  HostFacts facts = sound();
  facts.checkpoint_free = 0;  // the finding before
  const auto findings = judge_host(facts, kEightGpus);
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Level::fine && finding.text == "host n1: 1 data files can be read";
  }));
}

TEST(JudgeHost, GpusThatOthersUseOrThatAreSlow) {
  HostFacts facts = sound();
  facts.gpus = {{"cuda:0", 1, {}}, {"cuda:1", 0, {"power cap", "sync boost"}}};
  const std::string text = wrong(facts);
  EXPECT_NE(text.find("warning: host n1: cuda:0 is used by 1 other process;"), std::string::npos) << text;
  EXPECT_NE(text.find("warning: host n1: cuda:1 is throttled (power cap, sync boost)"), std::string::npos) << text;
}

TEST(JudgeHost, SlowClocks) {
  HostFacts facts = sound();
  facts.governor = "powersave";
  EXPECT_EQ(wrong(facts).find("warning: host n1: the CPU governor is powersave (driver acpi-cpufreq)"), 0u);
  facts.frequency_driver = "intel_pstate";
  EXPECT_EQ(wrong(facts), "");
}

TEST(LookAtHost, ReadsThisOne) {
  const HostFacts facts = look_at_host({.folder = TIMETRIAL_SOURCE_DIR "/not/there/yet",
                                        .data_files = {TIMETRIAL_SOURCE_DIR "/LICENSE", "/nowhere.idx"}});
  EXPECT_FALSE(facts.host.empty());
  EXPECT_GT(facts.disk_free.value_or(0), 0u);
  ASSERT_EQ(facts.data_files.size(), 2u);
  EXPECT_EQ(facts.data_files[0].problem, "");
  EXPECT_EQ(facts.data_files[1].problem, "No such file or directory");
}

// The soft limit is the process's own to raise; 1,024 of them would refuse a run of 1,024 ranks.
TEST(LookAtHost, AllowsItselfFilesForEveryRank) {
  rlimit before{}, after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  if (before.rlim_max < 2000) GTEST_SKIP() << "the hard limit is " << before.rlim_max;
  const rlimit few{.rlim_cur = 1024, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const HostNeeds needs{.ranks = 1024, .serves = true};
  const HostFacts facts = look_at_host(needs);
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, 1280u);
  EXPECT_EQ(facts.open_files, before.rlim_max);
  for (const Finding& finding : judge_host(facts, needs)) EXPECT_NE(finding.level, Level::error) << finding.text;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace timetrial::launch
