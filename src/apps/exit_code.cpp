// Exceptions to exit codes: user errors print their message alone, everything else also where it was raised.
// SPDX-License-Identifier: Apache-2.0
#include "apps/exit_code.h"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "timetrial/base/error.h"

namespace timetrial::apps {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return text;
}

// Not fmt::print, which throws when nobody reads: the exit code is still to come.
void print_error(const std::string& message) {
  std::fputs(fmt::format("timetrial: {}\n", one_line(message)).c_str(), stderr);
}

int guarded_main(const std::function<int()>& body) {
  try {
    return body();
  } catch (const UserError& error) {
    print_error(error.what());
    return kUserError;
  } catch (const Error& error) {
    print_error(fmt::format("{} [{}]", error.what(), error.where()));
    return kClusterError;
  } catch (const std::exception& error) {
    print_error(error.what());
    return kClusterError;
  }
}

}  // namespace timetrial::apps
