// Libraries: what vendor libraries keep from call to call, that is handles and plans found once per shape.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "timetrial/base/attention_kernels.h"

namespace timetrial::ops {

struct AttentionSettings {
  AttentionKernels kernels = AttentionKernels::best;
  bool deterministic = false;  // backward gives the same bits on every run; our own kernels always do
};

// Owned by a model piece (ModuleContext) and handed to every op that asks a library. Not thread-safe: one thread drives
// a model piece. It must outlive the work queued with it.
class Libraries {
 public:
  explicit Libraries(AttentionSettings attention = {}) : attention_(attention) {}
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  const AttentionSettings& attention() const { return attention_; }

  // One State per type, default-made at its first use.
  template <class State>
  State& state() {
    std::shared_ptr<void>& slot = states_[typeid(State)];
    if (!slot) slot = std::make_shared<State>();
    return *static_cast<State*>(slot.get());
  }

  // What was chosen and why, one line each, for the plan and the log. A line noted again is kept once.
  void note(const std::string& line) {
    if (std::find(choices_.begin(), choices_.end(), line) == choices_.end()) choices_.push_back(line);
  }
  const std::vector<std::string>& choices() const { return choices_; }

 private:
  AttentionSettings attention_;
  std::map<std::type_index, std::shared_ptr<void>> states_;
  std::vector<std::string> choices_;
};

}  // namespace timetrial::ops
