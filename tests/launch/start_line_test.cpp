// Which line starts the ranks: by hand, under mpirun, in a Slurm allocation; and what contradicts itself.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/start_line.h"

#include <gtest/gtest.h>

#include "timetrial/base/error.h"

namespace timetrial::launch {
namespace {

const Environment kAllocation{.rank = {},
                              .rendezvous = {},
                              .run_id = "",
                              .slurm = SlurmAllocation{.job = "7", .nodes = "n[1-2]", .node_count = 2, .tasks = 16}};
const Environment kRank{.rank = RankFacts{.launcher = "Slurm", .rank = 3, .size = 8, .local_rank = 3, .local_size = 8},
                        .rendezvous = {},
                        .run_id = "",
                        .slurm = kAllocation.slurm};

StartRequest request(Launcher launcher, int64_t ranks, const Environment& environment) {
  return {.launcher = launcher,
          .ranks = ranks,
          .environment = environment,
          .worker = {"/opt/timetrial-worker", "c.json"},
          .variables = {{"GOMP_SPINCOUNT", "2000"}, {"NCCL_DEBUG", "INFO WARN"}}};
}

std::string line(Launcher launcher, int64_t ranks, const Environment& environment) {
  return text_of(start_line(request(launcher, ranks, environment)));
}

std::string error(Launcher launcher, int64_t ranks, const Environment& environment) {
  try {
    return "no error: " + line(launcher, ranks, environment);
  } catch (const UserError& found) {
    return found.what();
  }
}

constexpr const char* kVariables = "GOMP_SPINCOUNT=2000 NCCL_DEBUG='INFO WARN' ";

TEST(StartLine, ChoosesByWhereItRuns) {
  EXPECT_EQ(line(Launcher::automatic, 8, {}), "/opt/timetrial-worker c.json");
  EXPECT_EQ(line(Launcher::mpirun, 8, {}), std::string(kVariables) +
                                               "mpirun --quiet -np 8 --bind-to none -x GOMP_SPINCOUNT -x NCCL_DEBUG "
                                               "/opt/timetrial-worker c.json");
  const std::string srun = std::string(kVariables) +
                           "srun --ntasks=16 --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=none --export=ALL "
                           "/opt/timetrial-worker c.json";
  EXPECT_EQ(line(Launcher::automatic, 0, kAllocation), srun);
  EXPECT_EQ(line(Launcher::srun, 16, kAllocation), srun);
  EXPECT_NE(line(Launcher::automatic, 4, kAllocation).find("srun --ntasks=4 "), std::string::npos);
  EXPECT_EQ(line(Launcher::here, 8, kAllocation), line(Launcher::automatic, 8, {}));
}

TEST(StartLine, HandsOptionsOnToTheLauncher) {
  StartRequest with_options = request(Launcher::mpirun, 8, {});
  with_options.options = {"--hostfile", "my hosts"};
  EXPECT_EQ(text_of(start_line(with_options)),
            std::string(kVariables) +
                "mpirun --quiet -np 8 --bind-to none -x GOMP_SPINCOUNT -x NCCL_DEBUG --hostfile 'my hosts' "
                "/opt/timetrial-worker c.json");
  with_options.environment = kAllocation;
  with_options.launcher = Launcher::srun;
  EXPECT_NE(text_of(start_line(with_options)).find("--export=ALL --hostfile 'my hosts' /opt/"), std::string::npos);
  with_options.launcher = Launcher::here;
  EXPECT_THROW(start_line(with_options), UserError);
}

TEST(StartLine, ExplainsWhereMpirunWasQuiet) {
  StartRequest with_options = request(Launcher::mpirun, 8, {});
  with_options.worker = {"/opt/timetrial-worker", "--quiet"};  // an argument of the worker's stays
  EXPECT_EQ(explaining_text_of(start_line(with_options)), std::string(kVariables) +
                                                              "mpirun -np 8 --bind-to none -x GOMP_SPINCOUNT "
                                                              "-x NCCL_DEBUG /opt/timetrial-worker --quiet");
  EXPECT_EQ(explaining_text_of(start_line(request(Launcher::here, 1, {}))), "/opt/timetrial-worker c.json");
}

// One process per GPU; in an allocation, or as somebody's rank already, that is another launcher's business.
TEST(StartLine, StartsGpuRanksItself) {
  StartRequest gpus = request(Launcher::automatic, 8, {});
  gpus.device = DeviceKind::cuda;
  EXPECT_EQ(start_line(gpus).launcher, Launcher::processes);
  gpus.ranks = 1;
  EXPECT_EQ(start_line(gpus).launcher, Launcher::here);
  gpus.ranks = 8;
  gpus.environment = kAllocation;
  EXPECT_EQ(start_line(gpus).launcher, Launcher::srun);
  gpus.environment = kRank;
  EXPECT_EQ(start_line(gpus).launcher, Launcher::here);
  EXPECT_EQ(start_line(request(Launcher::automatic, 8, {})).launcher, Launcher::here);
  EXPECT_EQ(start_line(request(Launcher::mpirun, 8, {})).launcher, Launcher::mpirun);
}

TEST(StartLine, TakesThePlaceThatALauncherGave) {
  EXPECT_EQ(line(Launcher::automatic, 8, kRank), line(Launcher::automatic, 8, {}));
}

TEST(StartLine, SaysWhatContradictsItself) {
  EXPECT_EQ(error(Launcher::mpirun, 8, kRank), "this process is rank 3 of 8 already (Slurm); leave --launcher out");
  EXPECT_NE(error(Launcher::processes, 2, {}).find("--launcher mpirun"), std::string::npos);
  EXPECT_EQ(error(Launcher::mpirun, 0, {}), "mpirun needs to know how many ranks to start: give --ranks N");
  EXPECT_EQ(error(Launcher::srun, 2, {}),
            "srun starts ranks inside a Slurm allocation, and SLURM_JOB_ID is not set: use salloc or sbatch");
  EXPECT_EQ(error(Launcher::automatic, 17, kAllocation),
            "17 ranks do not fit Slurm job 7, which has 16 tasks on 2 nodes: ask for more with --ntasks, or start "
            "fewer");
  Environment silent = kAllocation;
  silent.slurm->tasks = 0;
  EXPECT_EQ(error(Launcher::srun, 0, silent), "Slurm job 7 does not say how many tasks it has: give --ranks N");
}

TEST(VariablesForRanks, AreNamedOneByOne) {
  const char* const environment[] = {"PATH=/bin",
                                     "NCCL_DEBUG=INFO",
                                     "OMPI_MCA_btl=tcp,self",
                                     "OMP_NUM_THREADS=2",
                                     "TIMETRIAL_RANK=3",
                                     "OMPI_MCA_ess_base_jobid=7",
                                     "NCCL=",
                                     nullptr};
  const std::vector<std::pair<std::string, std::string>> expected{
      {"NCCL_DEBUG", "INFO"}, {"OMPI_MCA_btl", "tcp,self"}, {"OMP_NUM_THREADS", "2"}};
  EXPECT_EQ(variables_for_ranks(environment), expected);
}

}  // namespace
}  // namespace timetrial::launch
