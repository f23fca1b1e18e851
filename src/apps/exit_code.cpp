// Exceptions to exit codes: user errors print their message alone, everything else also where it was raised.
// SPDX-License-Identifier: Apache-2.0
#include "apps/exit_code.h"

#include <cstdio>
#include <exception>

#include "timetrial/base/error.h"

namespace timetrial::apps {

int guarded_main(const std::function<int()>& body) {
  try {
    return body();
  } catch (const UserError& error) {
    fmt::print(stderr, "timetrial: {}\n", error.what());
    return kUserError;
  } catch (const Error& error) {
    fmt::print(stderr, "timetrial: {} [{}]\n", error.what(), error.where());
    return kClusterError;
  } catch (const std::exception& error) {
    fmt::print(stderr, "timetrial: {}\n", error.what());
    return kClusterError;
  }
}

}  // namespace timetrial::apps
