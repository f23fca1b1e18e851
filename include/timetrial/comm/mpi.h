// CPU ranks in several processes through MPI, where the program was built with it. Without MPI headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"

namespace timetrial::comm {

// Whether this program was built with MPI.
bool has_mpi();

// The MPI library in its own words, on one line; empty in a build without MPI. May be called before MPI is initialised.
std::string mpi_version();

// Initialises MPI for this process, which mpirun or srun started; once per process. All later calls come from one
// thread at a time. On the CPU its world uses MPI's non-blocking collectives and gives up at the deadline; each call is
// compared with everybody's first, so one that was skipped or has another size is named. Ranks on this host that did
// not come are named too. With CUDA the world is NCCL's. When the object goes while an exception is on its way, or
// after abort(), MPI is not finalized, because that would wait for the others: the process must end, and mpirun then
// ends the rest. Throws UserError in a build without MPI.
std::unique_ptr<Bootstrap> make_mpi_bootstrap();

}  // namespace timetrial::comm
