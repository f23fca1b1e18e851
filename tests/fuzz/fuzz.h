// What all fuzzers share: the one way in which a reader may refuse its input, and files that live in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "timetrial/base/error.h"

namespace timetrial::fuzz {

// A UserError of one line is a right answer to any input. Every other exception, and an abort, is a finding.
template <class Body>
void one_line_errors_only(Body&& body) {
  try {
    body();
  } catch (const UserError& error) {
    const std::string_view text = error.what();
    TIMETRIAL_CHECK(!text.empty() && text.find('\n') == text.npos, "a user error of no or many lines: \"{}\"", text);
  }
}

// A folder of this process, on the memory file system where there is one; gone at exit.
class Folder {
 public:
  Folder() {
    const std::string base = std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string name = base + "/timetrial-fuzz-XXXXXX";
    TIMETRIAL_CHECK(::mkdtemp(name.data()) != nullptr, "no folder in {}", base);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // Path of a file of this name with this content.
  std::string write(const std::string& name, std::string_view content) const {
    const std::string file = path_ + "/" + name;
    std::ofstream(file, std::ios::binary | std::ios::trunc)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return file;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace timetrial::fuzz
