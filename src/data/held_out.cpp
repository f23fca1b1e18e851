// A sample of a stream whose length is not known: when it grows too large, every second text goes.
// SPDX-License-Identifier: Apache-2.0
#include "data/held_out.h"

namespace timetrial {

void TextSample::add(int64_t document, const std::string& text) {
  if (document % stride_ != 0) return;
  kept_.emplace_back(document, text.substr(0, static_cast<size_t>(budget_)));
  bytes_ += static_cast<int64_t>(kept_.back().second.size());
  while (bytes_ > budget_) {
    stride_ *= 2;
    std::erase_if(kept_, [this](const auto& entry) {
      if (entry.first % stride_ == 0) return false;
      bytes_ -= static_cast<int64_t>(entry.second.size());
      return true;
    });
  }
}

std::vector<std::string> TextSample::take(const HeldOut& held_out) {
  std::vector<std::string> texts;
  for (auto& [document, text] : kept_) {
    if (!held_out(document)) texts.push_back(std::move(text));
  }
  kept_.clear();
  return texts;
}

}  // namespace timetrial
