// XXH3 128-bit over a stream of bytes: the identity of input and output files in manifests.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <memory>
#include <string>

namespace timetrial {

class StreamHash {
 public:
  StreamHash();
  void add(const void* data, size_t count);
  std::string text() const;  // 32 hexadecimal digits, as hash_text gives for the same bytes

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace timetrial
