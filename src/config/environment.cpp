// The one place that reads environment variables: which rank this is, and who says so.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/environment.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "config/variables.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

using config::look_up_number;

struct Launcher {
  const char *name, *rank, *size, *local_rank, *local_size;
};

constexpr Launcher kOurs{"timetrial", "TIMETRIAL_RANK", "TIMETRIAL_SIZE", "TIMETRIAL_LOCAL_RANK",
                         "TIMETRIAL_LOCAL_SIZE"};
constexpr Launcher kOpenMpi{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                            "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Launcher kPmi{"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};
// The size is the step's: a batch script sees SLURM_PROCID and SLURM_NTASKS too, though it is one process.
constexpr Launcher kSlurm{"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr};
constexpr Launcher kRank{"RANK", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};

// What a launcher's variables say, and how to name it in an error.
struct Said {
  const Launcher* launcher;
  int rank, size;
  std::optional<int> local_rank, local_size;

  bool agrees(const Said& other) const { return rank == other.rank && size == other.size; }
  std::string text() const { return fmt::format("{}={} of {}={}", launcher->rank, rank, launcher->size, size); }
};

std::optional<Said> said_by(const Launcher& launcher, const LookUp& look_up) {
  const bool slurm = &launcher == &kSlurm;
  const std::optional<int> size = look_up_number(look_up, launcher.size);
  const std::optional<int> rank = look_up_number(look_up, launcher.rank);
  if (!size && (!rank || slurm)) return std::nullopt;
  if (!size || !rank) {
    throw UserError(fmt::format("environment variable {} is set but {} is not; set both or neither",
                                size ? launcher.size : launcher.rank, size ? launcher.rank : launcher.size));
  }
  if (*rank >= *size) {
    throw UserError(
        fmt::format("environment variable {}={} is not below {}={}", launcher.rank, *rank, launcher.size, *size));
  }
  Said said{&launcher, *rank, *size, look_up_number(look_up, launcher.local_rank), std::nullopt};
  if (launcher.local_size != nullptr) said.local_size = look_up_number(look_up, launcher.local_size);
  if (slurm) {
    const std::optional<std::string> tasks = look_up("SLURM_STEP_TASKS_PER_NODE");
    const std::optional<int> node = look_up_number(look_up, "SLURM_NODEID");
    if (tasks && node) said.local_size = tasks_on_node(*tasks, *node);
  }
  return said;
}

[[noreturn]] void contradiction(const Said& a, const std::string& other) {
  throw UserError(
      fmt::format("{} ({}) contradicts {}; unset the variables of the launcher that did not start this process",
                  a.text(), a.launcher->name, other));
}

void must_agree(const Said& a, const std::optional<Said>& b) {
  if (b && !a.agrees(*b)) contradiction(a, fmt::format("{} ({})", b->text(), b->launcher->name));
}

// PMIx tells a process its rank alone.
void check_pmix(const Said& said, const LookUp& look_up) {
  const std::optional<int> rank = look_up_number(look_up, "PMIX_RANK");
  if (!rank || *rank == said.rank) return;
  const std::string space = look_up("PMIX_NAMESPACE").value_or("");
  const bool of_slurm = space.starts_with("slurm.");
  if (of_slurm == (said.launcher == &kSlurm)) contradiction(said, fmt::format("PMIX_RANK={} (PMIx)", *rank));
}

// Launchers that this program does not take its place from, by a variable that is there when one of them is used.
constexpr std::pair<const char*, const char*> kForeign[] = {
    {"PMIX_RANK", "a PMIx launcher"}, {"MV2_COMM_WORLD_RANK", "MVAPICH"},
    {"MPIRUN_RANK", "an old MPI"},    {"PALS_RANKID", "PALS"},
    {"FLUX_TASK_RANK", "Flux"},       {"JSM_NAMESPACE_RANK", "jsrun"},
    {"ALPS_APP_PE", "ALPS"},          {"MPI_LOCALRANKID", "Intel MPI or MPICH"},
};

// Each process of such a start would take itself for the only one.
void refuse_foreign(const LookUp& look_up) {
  for (const auto& [variable, name] : kForeign) {
    const std::optional<std::string> value = look_up(variable);
    if (value)
      throw UserError(fmt::format(
          "{}={} says that {} started this process as one of several, but not how many there are: every process would "
          "run alone; start them with mpirun -np N or srun -n N, or set RANK, WORLD_SIZE and LOCAL_RANK for each",
          variable, *value, name));
  }
}

std::optional<Said> choose(const LookUp& look_up) {
  const std::optional<Said> ours = said_by(kOurs, look_up), open_mpi = said_by(kOpenMpi, look_up),
                            pmi = said_by(kPmi, look_up), slurm = said_by(kSlurm, look_up);
  if (ours) {
    must_agree(*ours, open_mpi);
    must_agree(*ours, pmi);
    if (slurm && slurm->size > 1) must_agree(*ours, slurm);
    return ours;
  }
  if (open_mpi) {
    must_agree(*open_mpi, pmi);
    return open_mpi;
  }
  if (pmi && slurm && pmi->agrees(*slurm)) return slurm;  // srun --mpi=pmi2
  if (pmi) return pmi;
  return slurm;
}

std::optional<Said> find_rank(const LookUp& look_up) {
  const std::optional<Said> found = choose(look_up);
  if (!found) {
    std::optional<Said> generic = said_by(kRank, look_up);
    if (!generic) refuse_foreign(look_up);
    return generic;
  }
  check_pmix(*found, look_up);
  // RANK alone is no contradiction: it is a common name. A launcher of ranks inside one task of Slurm is the inner one.
  if (!look_up(kRank.rank) || !look_up(kRank.size)) return found;
  std::optional<Said> generic = said_by(kRank, look_up);
  if (found->launcher == &kSlurm && found->size == 1) return generic;
  must_agree(*found, generic);
  return found;
}

RankFacts facts_of(const Said& said) {
  const Launcher& launcher = *said.launcher;
  if (!said.local_rank && said.size > 1) {
    throw UserError(fmt::format("environment variable {} is not set, but {}={}; set it to the rank on this host",
                                launcher.local_rank, launcher.size, said.size));
  }
  const int local_rank = said.local_rank.value_or(said.rank), local_size = said.local_size.value_or(0);
  if (said.local_size && (local_rank >= local_size || local_size > said.size)) {
    throw UserError(fmt::format("{}={} does not fit {} ranks on this host of {}={}", launcher.local_rank, local_rank,
                                local_size, launcher.size, said.size));
  }
  return {.launcher = launcher.name,
          .rank = said.rank,
          .size = said.size,
          .local_rank = local_rank,
          .local_size = said.size == 1 ? 1 : local_size};
}

// The command that starts `ranks` processes the way this one was started.
std::string right_command(const Environment& environment, int ranks, const std::string& config) {
  const std::string launcher = environment.rank ? environment.rank->launcher : "";
  if (launcher == "Slurm" || (launcher.empty() && environment.slurm))
    return fmt::format("srun --ntasks={} timetrial-worker {}", ranks, config);
  if (launcher == "Open MPI" || launcher == "PMI")
    return fmt::format("mpirun -np {} timetrial-worker {}", ranks, config);
  return fmt::format("timetrial run {} --ranks {}", config, ranks);
}

}  // namespace

Environment read_environment(const LookUp& look_up) {
  Environment environment;
  const std::optional<Said> said = find_rank(look_up);
  if (said) environment.rank = facts_of(*said);
  environment.rendezvous = config::find_rendezvous(look_up, environment.rank);
  environment.run_id = config::find_run_id(look_up, environment.rank);
  environment.slurm = config::find_slurm(look_up);
  for (const char* variable : {"PMIX_RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"})
    environment.mpi = environment.mpi || look_up(variable).has_value();
  return environment;
}

Environment read_environment() {
  return read_environment([](const std::string& variable) -> std::optional<std::string> {
    const char* text = std::getenv(variable.c_str());
    if (text == nullptr) return std::nullopt;
    return text;
  });
}

void check_mpi_start(const Environment& environment, const std::string& config) {
  if (!environment.rank || environment.rank->size == 1 || environment.mpi) return;
  const int size = environment.rank->size;
  if (environment.rank->launcher == "Slurm")
    throw UserError(
        fmt::format("srun started {} processes without PMI, so MPI takes each for the only one: srun --mpi=pmix "
                    "--ntasks={} timetrial-worker {}",
                    size, size, config));
  throw UserError(
      fmt::format("{} says that this is one of {} processes, but nothing tells MPI, which takes each for the only one: "
                  "mpirun -np {} timetrial-worker {}",
                  environment.rank->launcher, size, size, config));
}

void check_world(const ParallelPlan& plan, const Environment& environment, const std::string& config) {
  const int started = environment.rank ? environment.rank->size : 1, planned = plan.world_size();
  if (started == planned) return;
  throw UserError(fmt::format(
      "{} process{} started ({}), but the plan has {} rank{}; {}: {}", started, started == 1 ? " was" : "es were",
      environment.rank ? environment.rank->launcher : "by hand", planned, planned == 1 ? "" : "s",
      planned == 1 ? "start one" : "start them all at once", right_command(environment, planned, config)));
}

}  // namespace timetrial
