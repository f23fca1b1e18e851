// A file's bytes through the hash.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/file_identity.h"

#include <vector>

#include "data/file.h"
#include "data/hash.h"

namespace timetrial {

namespace {

constexpr size_t kChunk = size_t{1} << 20;

}  // namespace

FileIdentity identity_of_file(const std::string& path) {
  const InputFile file(path);
  StreamHash hash;
  std::vector<char> chunk(kChunk);
  for (int64_t at = 0; at < file.size();) {
    const size_t read = file.read_up_to(at, chunk.data(), chunk.size());
    if (read == 0) break;  // it shrank; the hash then tells it from the others
    hash.add(chunk.data(), read);
    at += static_cast<int64_t>(read);
  }
  return {.hash = hash.text(), .bytes = file.size()};
}

int64_t size_of_file(const std::string& path) { return InputFile(path).size(); }

}  // namespace timetrial
