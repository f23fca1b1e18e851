// Exit codes of both programs, and the one place that turns exceptions into them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace timetrial::apps {

inline constexpr int kSuccess = 0;
inline constexpr int kFailedCheck = 1;   // target missed, rules broken
inline constexpr int kUserError = 2;     // something the user can mend
inline constexpr int kClusterError = 3;  // the machine or the program failed

// Line breaks and other control characters (of a path, say) become spaces.
std::string one_line(std::string text);

// "timetrial: " and the message on stderr, on one line. Never throws for want of a reader.
void print_error(const std::string& message);

// Runs `body` and returns its code; prints one line on stderr for an exception and returns the code it stands for.
int guarded_main(const std::function<int()>& body);

}  // namespace timetrial::apps
