// A folder of its own for each test, and token files made in it byte by byte or through the writer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "timetrial/data/indexed_tokens.h"

namespace timetrial::testing {

class Folder : public ::testing::Test {
 protected:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "timetrial-data-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    folder_ = name;
  }
  ~Folder() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }
  std::string put(const std::string& name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  std::string get(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  // Documents of these lengths whose tokens count up from 0 through the whole file.
  std::string counting_file(const std::string& name, const std::vector<int>& lengths,
                            TokenType type = TokenType::i32) const {
    IndexedTokensWriter writer(path(name), type);
    int32_t next = 0;
    for (const int length : lengths) {
      std::vector<int32_t> tokens(static_cast<size_t>(length));
      std::iota(tokens.begin(), tokens.end(), next);
      next += length;
      writer.add(tokens);
    }
    writer.finish();
    return path(name);
  }

 private:
  std::filesystem::path folder_;
};

// Runs `call`, expects an Exception, and returns its line ("" when nothing was thrown).
template <class Exception, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// For EXPECT_TRUE: shows the whole line when the part is missing.
inline ::testing::AssertionResult contains(const std::string& line, const std::string& part) {
  if (line.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << '"' << line << "\" lacks \"" << part << '"';
}

inline std::vector<int64_t> begins_of(const std::vector<int>& lengths) {
  std::vector<int64_t> begins{0};
  for (const int length : lengths) begins.push_back(begins.back() + length);
  return begins;
}

}  // namespace timetrial::testing
