// Which build a program is of, as its file says: what lets `timetrial` notice a worker that was left behind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace timetrial::launch {

// The text that cmake/BuildIdentity.cmake put into an ELF program: the same in programs of the same sources. Empty
// where an ELF file has none; nothing where the file is none, or cannot be read (a script around a program is no
// program). Reads some kilobytes, whatever the program's size. Thread-safe.
std::optional<std::string> build_of(const std::string& path);

}  // namespace timetrial::launch
