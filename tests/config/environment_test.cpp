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

struct Row {
  const char* name;
  Variables variables;
  RankFacts expected;
};

const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "8"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables kSlurm{{"SLURM_PROCID", "5"},  {"SLURM_STEP_NUM_TASKS", "7"},
                       {"SLURM_LOCALID", "0"}, {"SLURM_STEP_TASKS_PER_NODE", "2(x2),3"},
                       {"SLURM_NODEID", "2"},  {"SLURM_STEP_NODELIST", "gpu[07-09]"},
                       {"SLURM_JOB_ID", "12"}, {"SLURM_STEP_ID", "0"}};
const Variables kRank{{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}};

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(ReadEnvironment, TakesTheRankFromEveryLauncher) {
  const Row rows[] = {
      {"ours",
       {{"TIMETRIAL_RANK", "3"}, {"TIMETRIAL_SIZE", "8"}, {"TIMETRIAL_LOCAL_RANK", "3"}, {"TIMETRIAL_LOCAL_SIZE", "8"}},
       {"timetrial", 3, 8, 3, 8}},
      {"Open MPI", kOpenMpi, {"Open MPI", 3, 8, 1, 4}},
      {"Open MPI and its PMIx", with(kOpenMpi, {{"PMIX_RANK", "3"}}), {"Open MPI", 3, 8, 1, 4}},
      {"PMI", {{"PMI_RANK", "3"}, {"PMI_SIZE", "8"}, {"MPI_LOCALRANKID", "1"}}, {"PMI", 3, 8, 1, 0}},
      {"Slurm", kSlurm, {"Slurm", 5, 7, 0, 3}},
      {"srun --mpi=pmix",
       with(kSlurm, {{"PMIX_RANK", "5"}, {"PMIX_NAMESPACE", "slurm.pmix.12.0"}}),
       {"Slurm", 5, 7, 0, 3}},
      {"srun --mpi=pmi2", with(kSlurm, {{"PMI_RANK", "5"}, {"PMI_SIZE", "7"}}), {"Slurm", 5, 7, 0, 3}},
      {"torchrun and its like", kRank, {"RANK", 3, 8, 1, 0}},
      {"torchrun in one task of Slurm",
       with(kRank, {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_LOCALID", "0"}}),
       {"RANK", 3, 8, 1, 0}},
      {"a script that copies Slurm's numbers",
       with(kSlurm, {{"RANK", "5"}, {"WORLD_SIZE", "7"}, {"LOCAL_RANK", "0"}}),
       {"Slurm", 5, 7, 0, 3}},
      {"one by hand", {{"RANK", "0"}, {"WORLD_SIZE", "1"}}, {"RANK", 0, 1, 0, 1}},
      {"RANK as somebody's word for something else", with(kOpenMpi, {{"RANK", "0"}}), {"Open MPI", 3, 8, 1, 4}},
  };
  for (const Row& row : rows) {
    const std::optional<RankFacts> found = read(row.variables).rank;
    ASSERT_TRUE(found) << row.name;
    EXPECT_TRUE(*found == row.expected) << row.name << ": " << found->launcher << " " << found->rank << " of "
                                        << found->size << ", " << found->local_rank << " of " << found->local_size;
  }
}

TEST(ReadEnvironment, FindsWhereRankZeroWaits) {
  EXPECT_EQ(read({{"TIMETRIAL_RENDEZVOUS", "n1:900"}, {"MASTER_ADDR", "n2"}, {"MASTER_PORT", "901"}}).rendezvous,
            (Address{"n1", 900}));
  EXPECT_EQ(read(with(kRank, {{"MASTER_ADDR", "n2"}, {"MASTER_PORT", "901"}})).rendezvous, (Address{"n2", 901}));
  const Environment slurm = read(kSlurm);
  ASSERT_TRUE(slurm.rendezvous);
  EXPECT_EQ(slurm.rendezvous->host, "gpu07");
  EXPECT_GE(slurm.rendezvous->port, 20000);
  EXPECT_LT(slurm.rendezvous->port, 32000);
  EXPECT_EQ(slurm.run_id, "slurm 12.0");
  EXPECT_NE(read(with(kSlurm, {{"SLURM_STEP_ID", "1"}})).rendezvous->port, slurm.rendezvous->port)
      << "two steps of one job must not meet";
  const Variables one_host = with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "8"}, {"OMPI_MCA_ess_base_jobid", "77"}});
  ASSERT_TRUE(read(one_host).rendezvous);
  EXPECT_EQ(read(one_host).rendezvous->host, "127.0.0.1");
  EXPECT_FALSE(read(with(kOpenMpi, {{"OMPI_MCA_ess_base_jobid", "77"}})).rendezvous) << "ranks on other hosts";
  EXPECT_FALSE(read(kRank).rendezvous);
}

TEST(ReadEnvironment, KnowsTheAllocation) {
  EXPECT_EQ(read({{"SLURM_JOB_ID", "9"},
                  {"SLURM_JOB_NODELIST", "a[1-2]"},
                  {"SLURM_JOB_NUM_NODES", "2"},
                  {"SLURM_NTASKS", "16"}})
                .slurm,
            (SlurmAllocation{"9", "a[1-2]", 2, 16}));
  EXPECT_FALSE(read({}).slurm);
}

TEST(FirstHost, ReadsSlurmsLists) {
  const std::pair<const char*, const char*> rows[] = {{"one", "one"},
                                                      {"one,two", "one"},
                                                      {"node[07-09,12],login", "node07"},
                                                      {"node[3,5]", "node3"},
                                                      {"r[1-2]n0,r9n0", "r1n0"}};
  for (const auto& [list, host] : rows) EXPECT_EQ(first_host(list), host);
  for (const char* list : {"", ",a", "node[1-2", "node[]", "node[a-b]"})
    EXPECT_THROW(first_host(list), UserError) << list;
}

TEST(TasksOnNode, ReadsSlurmsCounts) {
  const int expected[] = {2, 2, 3, 1, 1};
  for (int node = 0; node < 5; ++node) EXPECT_EQ(tasks_on_node("2(x2),3,1(x2)", node), expected[node]);
  EXPECT_THROW(tasks_on_node("2(x2)", 2), UserError);
  EXPECT_THROW(tasks_on_node("2(x2", 0), UserError);
  EXPECT_THROW(tasks_on_node("", 0), UserError);
}

TEST(ReadEnvironment, BelievesTheInnermost) {
  const Variables both = with(kOpenMpi, {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_LOCALID", "0"}});
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

TEST(ReadEnvironment, NamesBothSidesOfAContradiction) {
  const std::pair<Variables, const char*> rows[] = {
      {with(kSlurm, {{"PMIX_RANK", "4"}, {"PMIX_NAMESPACE", "slurm.pmix.12.0"}}),
       "SLURM_PROCID=5 of SLURM_STEP_NUM_TASKS=7 (Slurm) contradicts PMIX_RANK=4 (PMIx); "},
      {with(kOpenMpi, {{"PMIX_RANK", "4"}}),
       "OMPI_COMM_WORLD_RANK=3 of OMPI_COMM_WORLD_SIZE=8 (Open MPI) contradicts PMIX_RANK=4 (PMIx); "},
      {with(kSlurm, {{"RANK", "0"}, {"WORLD_SIZE", "1"}}),
       "SLURM_PROCID=5 of SLURM_STEP_NUM_TASKS=7 (Slurm) contradicts RANK=0 of WORLD_SIZE=1 (RANK); "},
      {with(kOpenMpi, {{"TIMETRIAL_RANK", "0"}, {"TIMETRIAL_SIZE", "2"}}),
       "TIMETRIAL_RANK=0 of TIMETRIAL_SIZE=2 (timetrial) contradicts OMPI_COMM_WORLD_RANK=3 of "
       "OMPI_COMM_WORLD_SIZE=8 (Open MPI); "},
      {with(kSlurm, {{"TIMETRIAL_RANK", "0"}, {"TIMETRIAL_SIZE", "2"}}),
       "TIMETRIAL_RANK=0 of TIMETRIAL_SIZE=2 (timetrial) contradicts SLURM_PROCID=5 of SLURM_STEP_NUM_TASKS=7 "
       "(Slurm); "},
      {with(kOpenMpi, {{"PMI_RANK", "3"}, {"PMI_SIZE", "9"}}),
       "OMPI_COMM_WORLD_RANK=3 of OMPI_COMM_WORLD_SIZE=8 (Open MPI) contradicts PMI_RANK=3 of PMI_SIZE=9 (PMI); "},
  };
  for (const auto& [variables, expected] : rows)
    EXPECT_EQ(error_of(variables),
              std::string(expected) + "unset the variables of the launcher that did not start this process");
}

TEST(ReadEnvironment, RefusesAStartThatItCannotTakeItsPlaceIn) {
  EXPECT_EQ(error_of({{"PMIX_RANK", "2"}}),
            "PMIX_RANK=2 says that a PMIx launcher started this process as one of several, but not how many there are: "
            "every process would run alone; start them with mpirun -np N or srun -n N, or set RANK, WORLD_SIZE and "
            "LOCAL_RANK for each");
  EXPECT_EQ(error_of({{"MV2_COMM_WORLD_RANK", "0"}}).substr(0, 37), "MV2_COMM_WORLD_RANK=0 says that MVAPI");
  EXPECT_EQ(error_of(with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}})),
            "OMPI_COMM_WORLD_LOCAL_RANK=1 does not fit 1 ranks on this host of OMPI_COMM_WORLD_SIZE=8");
  EXPECT_EQ(error_of({{"TIMETRIAL_RENDEZVOUS", "n1"}}),
            "environment variable TIMETRIAL_RENDEZVOUS=\"n1\" is not host:port");
  EXPECT_EQ(error_of({{"MASTER_ADDR", "n1"}, {"MASTER_PORT", "70000"}}).substr(0, 29), "the rendezvous n1:70000 has n");
}

TEST(ReadEnvironment, ReadsTheProcesssOwn) {
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_RANK", "5", 1), 0);
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_SIZE", "6", 1), 0);
  ASSERT_EQ(setenv("OMPI_COMM_WORLD_LOCAL_RANK", "4", 1), 0);
  EXPECT_EQ(read_environment().rank, (RankFacts{"Open MPI", 5, 6, 4, 0}));
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"}) {
    ASSERT_EQ(unsetenv(name), 0);
  }
}

std::string check_world_error(int ranks, const Environment& environment) {
  try {
    check_world({.data = ranks}, environment, "c.json");
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CheckWorld, WantsAsManyProcessesAsRanks) {
  EXPECT_EQ(check_world_error(1, {}), "no error");
  EXPECT_EQ(check_world_error(8, read(kOpenMpi)), "no error");
  EXPECT_EQ(check_world_error(1, read({{"RANK", "0"}, {"WORLD_SIZE", "1"}})), "no error");
  EXPECT_EQ(check_world_error(1, read(kOpenMpi)),
            "8 processes were started (Open MPI), but the plan has 1 rank; start one: mpirun -np 1 timetrial-worker "
            "c.json");
}

// Eight one-rank jobs where one of eight ranks was meant: each learns the command that was.
TEST(CheckWorld, GivesTheCommandThatWasMeant) {
  EXPECT_EQ(check_world_error(8, {}),
            "1 process was started (by hand), but the plan has 8 ranks; start them all at once: timetrial run c.json "
            "--ranks 8");
  const Environment in_allocation = read({{"SLURM_JOB_ID", "9"}, {"SLURM_JOB_NODELIST", "a1"}, {"SLURM_NTASKS", "8"}});
  EXPECT_NE(check_world_error(8, in_allocation).find("srun --ntasks=8 timetrial-worker c.json"), std::string::npos);
}

std::string check_mpi_error(const Variables& variables) {
  try {
    check_mpi_start(read(variables), "c.json");
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(CheckMpiStart, RecognisesJobsOfOneRankEach) {
  EXPECT_EQ(check_mpi_error({}), "no error");
  EXPECT_EQ(check_mpi_error(kOpenMpi), "no error");
  EXPECT_EQ(check_mpi_error(with(kSlurm, {{"PMIX_RANK", "5"}, {"PMIX_NAMESPACE", "slurm.pmix.12.0"}})), "no error");
  EXPECT_EQ(check_mpi_error({{"RANK", "0"}, {"WORLD_SIZE", "1"}}), "no error");
  EXPECT_EQ(check_mpi_error(kSlurm),
            "srun started 7 processes without PMI, so MPI takes each for the only one: srun --mpi=pmix --ntasks=7 "
            "timetrial-worker c.json");
  EXPECT_EQ(
      check_mpi_error(kRank),
      "RANK says that this is one of 8 processes, but nothing tells MPI, which takes each for the only one: mpirun "
      "-np 8 timetrial-worker c.json");
}

}  // namespace
}  // namespace timetrial
