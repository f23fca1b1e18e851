// XXH3 128-bit over a stream of bytes.
// SPDX-License-Identifier: Apache-2.0
#include "data/hash.h"

#include <fmt/format.h>

#include "timetrial/base/error.h"

namespace timetrial {

StreamHash::StreamHash() : state_(XXH3_createState()) {
  TIMETRIAL_CHECK(state_ && XXH3_128bits_reset(state_.get()) == XXH_OK, "hash state");
}

void StreamHash::add(const void* data, size_t count) {
  if (count > 0) TIMETRIAL_CHECK(XXH3_128bits_update(state_.get(), data, count) == XXH_OK, "hash update");
}

std::string StreamHash::text() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace timetrial
