// FileText: the bytes of a regular file.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace timetrial::results {

// Throws DataError when the file is missing, unreadable or no regular file.
class FileText {
 public:
  explicit FileText(const std::string& path);
  std::string_view view() const { return text_; }

 private:
  std::string text_;
};

}  // namespace timetrial::results
