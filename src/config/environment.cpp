// The one place that reads environment variables.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/environment.h"

#include <charconv>
#include <cstdlib>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

struct Launcher {
  const char *name, *rank, *size, *local_rank;
};

// Innermost first: mpirun inside a Slurm job also shows Slurm's variables, of the process that started the ranks.
// Slurm's size is the step's: a batch script sees SLURM_PROCID and SLURM_NTASKS too, though it is one process.
constexpr Launcher kLaunchers[] = {
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
    {"RANK", "RANK", "WORLD_SIZE", "LOCAL_RANK"},
};

std::optional<int> look_up_number(const LookUp& look_up, const char* variable) {
  const std::optional<std::string> text = look_up(variable);
  if (!text) return std::nullopt;
  int number = 0;
  const char* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data(), end, number);
  if (failure != std::errc() || stop != end || number < 0) {
    throw UserError(
        fmt::format("environment variable {}=\"{}\" is not a whole number from 0; unset it or start the "
                    "program through its launcher",
                    variable, *text));
  }
  return number;
}

std::optional<RankFacts> facts_of(const Launcher& launcher, const LookUp& look_up) {
  const bool slurm = std::string_view(launcher.name) == "Slurm";
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
  const std::optional<int> local_rank = look_up_number(look_up, launcher.local_rank);
  if (!local_rank && *size > 1) {
    throw UserError(fmt::format("environment variable {} is not set, but {}={}; set it to the rank on this host",
                                launcher.local_rank, launcher.size, *size));
  }
  return RankFacts{.launcher = launcher.name, .rank = *rank, .size = *size, .local_rank = local_rank.value_or(*rank)};
}

}  // namespace

Environment read_environment(const LookUp& look_up) {
  for (const Launcher& launcher : kLaunchers) {
    if (std::optional<RankFacts> facts = facts_of(launcher, look_up)) return {.rank = std::move(facts)};
  }
  return {};
}

Environment read_environment() {
  return read_environment([](const std::string& variable) -> std::optional<std::string> {
    const char* text = std::getenv(variable.c_str());
    if (text == nullptr) return std::nullopt;
    return text;
  });
}

void check_world(const ParallelPlan& plan, const Environment& environment) {
  const int started = environment.rank ? environment.rank->size : 1;
  if (started == plan.world_size()) return;
  throw UserError(fmt::format("{} processes were started ({}), but the plan has {} ranks; start {}", started,
                              environment.rank ? environment.rank->launcher : "by hand", plan.world_size(),
                              plan.world_size()));
}

}  // namespace timetrial
