// Signatures of calls, grouped by who makes the same one.
// SPDX-License-Identifier: Apache-2.0
#include "comm/agreement.h"

#include <algorithm>

#include "timetrial/base/json.h"

namespace timetrial::comm {

Signature signature_of(const Call& call) {
  // Pieces of an all-to-all, and colours and names of a split, differ between ranks by nature.
  const bool uneven = call.kind == Collective::all_to_all || call.kind == Collective::split;
  return {.sequence = call.sequence,
          .kind = static_cast<int64_t>(call.kind),
          .elements = uneven || !call.in ? 0 : call.in.elements(),
          .dtype = static_cast<int64_t>(call.in.dtype()),
          .reduction = static_cast<int64_t>(call.reduction),
          .root = uneven ? 0 : call.root,
          .purpose = call.kind == Collective::split
                         ? 0
                         : static_cast<int64_t>(std::stoull(hash_text(call.purpose).substr(0, 15), nullptr, 16))};
}

std::string text_of(const Signature& s, const std::string& purpose) {
  const auto kind = static_cast<Collective>(s.kind);
  std::string text{name_of(kind)};
  if (s.elements > 0 || kind == Collective::all_reduce)
    text += fmt::format(" of {} {}", s.elements, name_of(static_cast<DType>(s.dtype)));
  if (kind == Collective::broadcast) text += fmt::format(" from rank {}", s.root);
  if (static_cast<Reduction>(s.reduction) == Reduction::max) text += " (max)";
  if (!purpose.empty()) text += fmt::format(" \"{}\"", purpose);
  return text + fmt::format(" (call {})", s.sequence);
}

std::string disagreement(const std::string& group, const std::vector<Signature>& all,
                         const std::function<std::string(int)>& purpose_of) {
  struct Camp {
    Signature signature;
    std::vector<int> ranks;
  };
  std::vector<Camp> camps;
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const auto same = std::find_if(camps.begin(), camps.end(), [&](const Camp& c) { return c.signature == all[rank]; });
    if (same == camps.end()) {
      camps.push_back({all[rank], {static_cast<int>(rank)}});
    } else {
      same->ranks.push_back(static_cast<int>(rank));
    }
  }
  if (camps.size() < 2) return "";
  // The smaller camp is the odd one; of two equal ones the later.
  std::stable_sort(camps.begin(), camps.end(),
                   [](const Camp& a, const Camp& b) { return a.ranks.size() > b.ranks.size(); });
  const auto said = [&](const Camp& camp) {
    return fmt::format("{} call{} {}", ranks_text(camp.ranks), camp.ranks.size() == 1 ? "s" : "",
                       text_of(camp.signature, purpose_of(camp.ranks.front())));
  };
  return fmt::format("{}: {} where {}", group, said(camps.back()), said(camps.front()));
}

}  // namespace timetrial::comm
