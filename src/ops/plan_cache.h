// PlanCache: what is costly to find and the same for every call of a shape, kept as long as its owner.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <utility>

namespace timetrial::ops {

// Nothing is ever dropped: a run has a few dozen shapes, and a plan that went would be looked for inside a step.
// References stay valid. Not thread-safe.
template <class Key, class Plan>
class PlanCache {
 public:
  // The plan of `key`; make() is called when there is none yet. When it throws, nothing is kept.
  template <class Make>
  Plan& get(const Key& key, Make&& make) {
    auto found = plans_.find(key);
    if (found == plans_.end()) found = plans_.emplace(key, std::forward<Make>(make)()).first;
    return found->second;
  }
  size_t size() const { return plans_.size(); }

 private:
  std::map<Key, Plan> plans_;
};

}  // namespace timetrial::ops
