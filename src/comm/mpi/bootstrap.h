// What the MPI implementation offers the rest of the layer. Defined only in builds with MPI.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/comm/bootstrap.h"

namespace timetrial::comm::mpi {

std::string version();
std::unique_ptr<Bootstrap> make_bootstrap();

}  // namespace timetrial::comm::mpi
