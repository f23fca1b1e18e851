// The fork between builds with MPI and without.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/mpi.h"

#include "comm/mpi/bootstrap.h"

namespace timetrial::comm {

bool has_mpi() { return TIMETRIAL_HAS_MPI != 0; }

std::string mpi_version() {
  if constexpr (TIMETRIAL_HAS_MPI != 0) return mpi::version();
  return "";
}

std::unique_ptr<Bootstrap> make_mpi_bootstrap() {
  if constexpr (TIMETRIAL_HAS_MPI != 0) {
    return mpi::make_bootstrap();
  } else {
    throw UserError(
        "this program was built without MPI: install libopenmpi-dev and openmpi-bin and build again, or start one "
        "process "
        "with --ranks");
  }
}

}  // namespace timetrial::comm
