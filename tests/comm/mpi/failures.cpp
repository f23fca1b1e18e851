// One rank misbehaves as its argument says; each rank prints what it was told and when: "rank R after T s: ...".
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "timetrial/base/clock.h"
#include "timetrial/comm/mpi.h"

int main(int argc, char** argv) {
  using namespace timetrial;
  const std::string_view fault = argc > 1 ? argv[1] : "";
  const auto bootstrap = comm::make_mpi_bootstrap();
  const auto world = bootstrap->make_world({}, {.init = 60, .call = 1});
  const OwnedTensor x(DType::f32, {8}), longer(DType::f32, {9}), all(DType::f32, {8 * world->size()});
  const bool odd = bootstrap->rank() == 1;
  const double started = monotonic_seconds();
  try {
    world->all_reduce(x, {{}, "norm"});
    if (fault == "size") {
      world->all_reduce(odd ? longer : x, {{}, "loss"});
    } else if (fault == "skip") {
      if (!odd) world->all_reduce(x, {{}, "loss"});
      world->all_gather(all, x, {{}, "weights"});
    } else if (fault == "missing") {
      if (odd) sleep(4);  // longer than the others wait
      if (!odd) world->all_reduce(x, {{}, "loss"});
    } else if (fault == "throw" && odd) {
      throw UserError("the data is gone");
    } else {
      world->all_reduce(x, {{}, "loss"});
    }
  } catch (const Error& error) {
    std::fputs(
        fmt::format("rank {} after {:.0f} s: {}\n", bootstrap->rank(), monotonic_seconds() - started, error.what())
            .c_str(),
        stdout);
    std::fflush(stdout);
    bootstrap->abort(error.what());
    sleep(2);  // mpirun ends the others as soon as one has ended, before they could speak
    return 3;
  }
  return 0;
}
