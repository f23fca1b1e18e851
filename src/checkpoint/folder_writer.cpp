// Cuts tensors into shards and writes the index beside them.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "timetrial/base/error.h"
#include "timetrial/checkpoint/folder.h"

namespace timetrial::checkpoint {

namespace {

int64_t bytes_of(const SafetensorsWriter::Entry& entry) {
  int64_t bytes = static_cast<int64_t>(size_of(entry.type));
  for (const int64_t extent : entry.shape) bytes *= extent;
  return bytes;
}

void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& content) {
  std::ofstream file(path);
  file << content.dump(2) << '\n';
  file.flush();
  if (!file) throw UserError(fmt::format("{}: cannot be written ({})", path.string(), std::strerror(errno)));
}

}  // namespace

struct FolderWriter::State {
  struct Shard {
    std::string name;
    std::vector<SafetensorsWriter::Entry> entries;
    int64_t bytes = 0;
  };
  std::filesystem::path root;
  std::vector<Shard> shards;
  size_t at = 0;
  int64_t written = 0;  // bytes of the current shard
  std::optional<SafetensorsWriter> file;

  void open() {
    file.emplace((root / shards[at].name).string(), shards[at].entries,
                 std::map<std::string, std::string>{{"format", "pt"}});
    written = 0;
  }
};

FolderWriter::FolderWriter(const std::string& path, std::vector<SafetensorsWriter::Entry> entries, int64_t shard_bytes)
    : state_(std::make_unique<State>()) {
  TIMETRIAL_CHECK(!entries.empty() && shard_bytes > 0, "{} tensors in shards of {} bytes", entries.size(), shard_bytes);
  state_->root = path;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json", "config.json"})
    if (std::filesystem::exists(state_->root / name))
      throw UserError(fmt::format("{}: holds a {} already, and checkpoints are never overwritten; give another folder",
                                  path, name));
  std::error_code failure;
  std::filesystem::create_directories(state_->root, failure);
  if (failure) throw UserError(fmt::format("{}: cannot be made ({})", path, failure.message()));
  for (SafetensorsWriter::Entry& entry : entries) {
    const int64_t bytes = bytes_of(entry);
    auto& shards = state_->shards;
    if (shards.empty() || (shards.back().bytes > 0 && shards.back().bytes + bytes > shard_bytes)) shards.emplace_back();
    shards.back().bytes += bytes;
    shards.back().entries.push_back(std::move(entry));
  }
  const size_t count = state_->shards.size();
  for (size_t i = 0; i < count; ++i)
    state_->shards[i].name =
        count == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, count);
  state_->open();
}

FolderWriter::~FolderWriter() = default;

void FolderWriter::append(std::span<const std::byte> bytes) {
  State& s = *state_;
  if (s.written == s.shards[s.at].bytes && s.at + 1 < s.shards.size()) {
    s.file->finish();
    ++s.at;
    s.open();
  }
  s.written += static_cast<int64_t>(bytes.size());
  s.file->append(bytes);
}

void FolderWriter::finish(const Json& config) {
  State& s = *state_;
  TIMETRIAL_CHECK(s.at + 1 == s.shards.size(), "shard {} of {} was never begun", s.at + 2, s.shards.size());
  s.file->finish();
  if (!config.is_null()) write_json(s.root / "config.json", config);
  if (s.shards.size() == 1) return;
  nlohmann::ordered_json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", nlohmann::ordered_json::object()}};
  int64_t total = 0;
  for (const State::Shard& shard : s.shards) {
    total += shard.bytes;
    for (const SafetensorsWriter::Entry& entry : shard.entries) index["weight_map"][entry.name] = shard.name;
  }
  index["metadata"]["total_size"] = total;
  write_json(s.root / "model.safetensors.index.json", index);
}

}  // namespace timetrial::checkpoint
