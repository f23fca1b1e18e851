// What launchers say, whom to believe, and what contradicts itself.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

using Variables = std::map<std::string, std::string>;

Environment read(const Variables& variables) {
  return read_environment([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

std::string error_of(const Variables& variables) {
  try {
    read(variables);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ReadEnvironment, FindsNoLauncher) { EXPECT_FALSE(read({}).rank); }

TEST(ReadEnvironment, KnowsFourLaunchers) {
  EXPECT_EQ(
      read({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}}).rank,
      (RankFacts{"Open MPI", 3, 8, 1}));
  EXPECT_EQ(read({{"PMI_RANK", "3"}, {"PMI_SIZE", "8"}, {"MPI_LOCALRANKID", "1"}}).rank, (RankFacts{"PMI", 3, 8, 1}));
  EXPECT_EQ(read({{"SLURM_PROCID", "3"}, {"SLURM_STEP_NUM_TASKS", "8"}, {"SLURM_LOCALID", "1"}}).rank,
            (RankFacts{"Slurm", 3, 8, 1}));
  EXPECT_EQ(read({{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}}).rank, (RankFacts{"RANK", 3, 8, 1}));
  EXPECT_EQ(read({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).rank, (RankFacts{"RANK", 0, 1, 0}));
}

TEST(ReadEnvironment, BelievesTheInnermost) {
  const Variables both{{"OMPI_COMM_WORLD_RANK", "3"},       {"OMPI_COMM_WORLD_SIZE", "8"},
                       {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"SLURM_PROCID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "2"},       {"SLURM_LOCALID", "0"}};
  EXPECT_EQ(read(both).rank->launcher, "Open MPI");
}

// The batch script itself is one process, whatever the job's number of tasks.
TEST(ReadEnvironment, IsNotMisledByABatchScript) {
  EXPECT_FALSE(read({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "64"}, {"SLURM_LOCALID", "0"}}).rank);
}

TEST(ReadEnvironment, NamesWhatIsWrong) {
  EXPECT_EQ(error_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}}),
            "environment variable RANK=\"x\" is not a whole number from 0; unset it or start the program through its "
            "launcher");
  EXPECT_EQ(error_of({{"RANK", "1 "}, {"WORLD_SIZE", "2"}}).substr(0, 31), "environment variable RANK=\"1 \" ");
  EXPECT_EQ(error_of({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}).substr(0, 31), "environment variable RANK=\"-1\" ");
  EXPECT_EQ(error_of({{"RANK", "1"}}), "environment variable RANK is set but WORLD_SIZE is not; set both or neither");
  EXPECT_EQ(error_of({{"WORLD_SIZE", "2"}}),
            "environment variable WORLD_SIZE is set but RANK is not; set both or neither");
  EXPECT_EQ(error_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}}),
            "environment variable RANK=2 is not below WORLD_SIZE=2");
  EXPECT_EQ(error_of({{"RANK", "1"}, {"WORLD_SIZE", "2"}}),
            "environment variable LOCAL_RANK is not set, but WORLD_SIZE=2; set it to the rank on this host");
}

TEST(ReadEnvironment, ReadsTheProcesssOwn) {
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_RANK", "5", 1), 0);
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_SIZE", "6", 1), 0);
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_LOCAL_RANK", "4", 1), 0);
  EXPECT_EQ(read_environment().rank, (RankFacts{"Open MPI", 5, 6, 4}));
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}) {
    ASSERT_EQ(unsetenv(name), 0);
  }
}

TEST(CheckWorld, WantsAsManyProcessesAsRanks) {
  EXPECT_NO_THROW(check_world({}, {}));
  EXPECT_NO_THROW(check_world({}, {.rank = RankFacts{"RANK", 0, 1, 0}}));
  try {
    check_world({}, {.rank = RankFacts{"Open MPI", 0, 8, 0}});
    FAIL() << "eight processes for one rank";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "8 processes were started (Open MPI), but the plan has 1 ranks; start 1");
  }
  EXPECT_THROW(check_world({.data = 2}, {}), UserError);
}

}  // namespace
}  // namespace timetrial
