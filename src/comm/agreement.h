// Whether the calls of all ranks are one and the same collective, and who is the odd one out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "timetrial/comm/communicator.h"

namespace timetrial::comm {

// What must be equal on all ranks, small enough to send along with every call.
struct Signature {
  int64_t sequence, kind, elements, dtype, reduction, root, purpose;
  bool operator==(const Signature&) const = default;
};
Signature signature_of(const Call& call);
std::string text_of(const Signature& signature, const std::string& purpose);

// Empty when all agree; else one line: "data: rank 2 calls all_gather of 8 f32 "weights" (call 5) where ranks 0 and 1
// call ...". `purpose_of(rank)` gives a rank's purpose in words, as far as it is known.
std::string disagreement(const std::string& group, const std::vector<Signature>& all,
                         const std::function<std::string(int)>& purpose_of);

}  // namespace timetrial::comm
