// Which launcher, and its arguments.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/start_line.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "launch/beginnings.h"
#include "launch/exec.h"
#include "timetrial/base/error.h"
#include "timetrial/launch/worker_process.h"

namespace timetrial::launch {

namespace {

constexpr std::string_view kHandedOn[] = {"NCCL_", "OMP_",      "GOMP_", "DNNL_",
                                          "CUDA_", "OMPI_MCA_", "UCX_",  "TIMETRIAL_"};
// What mpirun and our own launcher say to one process alone; a rank that inherited it would take another's place.
constexpr std::string_view kPlaces[] = {"OMPI_MCA_ess_",  "OMPI_MCA_orte_", "OMPI_MCA_pmix",
                                        "TIMETRIAL_RANK", "TIMETRIAL_SIZE", "TIMETRIAL_LOCAL_"};

// Without it mpirun adds a screen of words on its own account to every end that is not 0.
constexpr const char* kQuiet = "--quiet";

// Threads of a rank are bound by the rank itself, which knows its neighbours and its device.
StartLine mpirun_line(const StartRequest& request) {
  if (request.ranks == 0) throw UserError("mpirun needs to know how many ranks to start: give --ranks N");
  StartLine line{.launcher = Launcher::mpirun,
                 .arguments = {"mpirun", kQuiet, "-np", std::to_string(request.ranks), "--bind-to", "none"},
                 .variables = request.variables};
  for (const auto& [name, value] : request.variables) line.arguments.insert(line.arguments.end(), {"-x", name});
  for (const auto* part : {&request.options, &request.worker})
    line.arguments.insert(line.arguments.end(), part->begin(), part->end());
  return line;
}

StartLine srun_line(const StartRequest& request) {
  const std::optional<SlurmAllocation>& slurm = request.environment.slurm;
  if (!slurm)
    throw UserError("srun starts ranks inside a Slurm allocation, and SLURM_JOB_ID is not set: use salloc or sbatch");
  if (slurm->tasks > 0 && request.ranks > slurm->tasks)
    throw UserError(
        fmt::format("{} ranks do not fit Slurm job {}, which has {} tasks on {} node{}: ask for more with "
                    "--ntasks, or start fewer",
                    request.ranks, slurm->job, slurm->tasks, slurm->node_count, slurm->node_count == 1 ? "" : "s"));
  const int64_t ranks = request.ranks > 0 ? request.ranks : slurm->tasks;
  if (ranks == 0)
    throw UserError(fmt::format("Slurm job {} does not say how many tasks it has: give --ranks N", slurm->job));
  StartLine line{.launcher = Launcher::srun,
                 .arguments = {"srun", fmt::format("--ntasks={}", ranks), fmt::format("--mpi={}", request.slurm_mpi),
                               "--kill-on-bad-exit=1", "--cpu-bind=none", "--export=ALL"},
                 .variables = request.variables};
  for (const auto* part : {&request.options, &request.worker})
    line.arguments.insert(line.arguments.end(), part->begin(), part->end());
  return line;
}

Launcher chosen(const StartRequest& request) {
  const Environment& environment = request.environment;
  const bool is_rank = environment.rank && environment.rank->size > 1;
  if (is_rank && request.launcher != Launcher::automatic && request.launcher != Launcher::here)
    throw UserError(fmt::format("this process is rank {} of {} already ({}); leave --launcher out",
                                environment.rank->rank, environment.rank->size, environment.rank->launcher));
  if (request.launcher != Launcher::automatic) return request.launcher;
  if (is_rank) return Launcher::here;
  if (!environment.slurm)
    return request.device == DeviceKind::cuda && request.ranks > 1 ? Launcher::processes : Launcher::here;
  return request.ranks > 1 || environment.slurm->tasks > 1 ? Launcher::srun : Launcher::here;
}

}  // namespace

StartLine start_line(const StartRequest& request) {
  const Launcher launcher = chosen(request);
  if (!request.options.empty() && launcher != Launcher::mpirun && launcher != Launcher::srun)
    throw UserError(fmt::format(
        "--launcher-option {} is for mpirun and srun, and neither starts these ranks: give --launcher mpirun",
        request.options.front()));
  switch (launcher) {
    case Launcher::automatic:
    case Launcher::here:
      return {.launcher = Launcher::here, .arguments = request.worker, .variables = {}};
    case Launcher::processes:
      if (request.device == DeviceKind::cpu)
        throw UserError(
            "--launcher processes starts one process per GPU, and these ranks compute on CPUs: processes of CPU ranks "
            "need MPI (--launcher mpirun); without --launcher they are threads");
      return {.launcher = Launcher::processes, .arguments = request.worker, .variables = {}};
    case Launcher::mpirun:
      return mpirun_line(request);
    case Launcher::srun:
      return srun_line(request);
  }
  throw Error("a launcher that does not exist");
}

std::string explaining_text_of(StartLine line) {
  const auto quiet = std::find(line.arguments.begin(), line.arguments.end(), kQuiet);
  if (quiet != line.arguments.end()) line.arguments.erase(quiet);
  return text_of(line);
}

std::vector<std::pair<std::string, std::string>> variables_for_ranks(const char* const* environment) {
  std::vector<std::pair<std::string, std::string>> found;
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = entry.substr(0, equals);
    if (begins_with_one_of(name, kHandedOn) && !begins_with_one_of(name, kPlaces))
      found.emplace_back(name, entry.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string text_of(const StartLine& line) {
  std::string text;
  for (const auto& [name, value] : line.variables) text += fmt::format("{}={} ", name, shell_line({value}));
  return text + shell_line(line.arguments);
}

void become(const StartLine& line) {
  for (const auto& [name, value] : line.variables) setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
  execvp(line.arguments[0].c_str(), pointers_to(line.arguments).data());
  throw cannot_start(line.arguments[0], errno);
}

}  // namespace timetrial::launch
