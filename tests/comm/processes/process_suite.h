// What a program that runs the suite of process_suite.cpp says of its rank.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "timetrial/comm/bootstrap.h"

namespace timetrial::testing {

struct ProcessRank {
  comm::Bootstrap* bootstrap;
  Device device;
  std::function<std::unique_ptr<comm::Communicator>()> make_world;
};

ProcessRank& this_rank();

}  // namespace timetrial::testing
