// A temporary folder and checkpoints made by hand in it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "timetrial/base/error.h"
#include "timetrial/checkpoint/folder.h"

namespace timetrial::testing {

class CheckpointFiles : public ::testing::Test {
 protected:
  CheckpointFiles() {
    char pattern[] = "/tmp/timetrial-checkpoint-XXXXXX";
    root_ = mkdtemp(pattern);
  }
  ~CheckpointFiles() override { std::filesystem::remove_all(root_); }

  std::string path(const std::string& name) const { return root_ + "/" + name; }

  // A file with any header and as many zero bytes of data.
  void raw(const std::string& name, const std::string& header, size_t data_bytes) const {
    const uint64_t length = header.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    bytes += header + std::string(data_bytes, '\0');
    text(name, bytes);
  }
  void text(const std::string& name, const std::string& content) const {
    std::ofstream(path(name), std::ios::binary) << content;
  }
  std::string bytes_of(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // A shard of fp32 tensors whose values count up from `first`.
  void shard(const std::string& name, const std::vector<std::pair<std::string, std::vector<int64_t>>>& tensors,
             float first = 0) const {
    std::vector<checkpoint::SafetensorsWriter::Entry> entries;
    std::vector<float> values;
    for (const auto& [tensor, shape] : tensors) {
      entries.push_back({tensor, checkpoint::StoredType::f32, shape});
      int64_t count = 1;
      for (const int64_t extent : shape) count *= extent;
      for (int64_t i = 0; i < count; ++i) values.push_back(first++);
    }
    checkpoint::SafetensorsWriter writer(path(name), entries, {{"format", "pt"}});
    writer.append(std::as_bytes(std::span(values)));
    writer.finish();
  }

  template <class Action>
  static std::string message_of(Action&& action) {
    try {
      action();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
  static void expect_contains(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text << "\nlacks " << part;
  }

  std::string root_;
};

}  // namespace timetrial::testing
