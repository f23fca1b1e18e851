// One file, or an index and its shards, as one set of tensors.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial::checkpoint {

namespace {

constexpr char kSingle[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";

// Tensor name -> shard, as the index has it.
std::map<std::string, std::string> read_index(const std::string& path) {
  const Json index = read_json_file(path);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || map == index.end() || !map->is_object() || map->empty())
    throw DataError(path, "has no weight_map: no index of a checkpoint");
  std::map<std::string, std::string> shards;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string() || file.get_ref<const std::string&>().find('/') != std::string::npos)
      throw DataError(path, fmt::format("weight_map of {} is no file name", name));
    shards[name] = file.get<std::string>();
  }
  return shards;
}

}  // namespace

CheckpointFolder::CheckpointFolder(const std::string& path) : path_(path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path root(path);
  std::map<std::string, std::string> index;
  std::vector<std::string> names;
  if (fs::is_regular_file(root, ignored)) {
    names.push_back(path);
    config_path_ = (root.parent_path() / "config.json").string();
  } else {
    if (!fs::is_directory(root, ignored)) throw DataError(path, "is neither a folder nor a safetensors file");
    config_path_ = (root / "config.json").string();
    if (fs::exists(root / kIndex, ignored)) {
      index = read_index((root / kIndex).string());
      std::map<std::string, std::string> first_of;
      for (const auto& [tensor, shard] : index) first_of.try_emplace(shard, tensor);
      for (const auto& [shard, tensor] : first_of) {
        if (!fs::exists(root / shard, ignored))
          throw DataError((root / shard).string(),
                          fmt::format("is missing, but {} says that it holds {}", kIndex, tensor));
        names.push_back((root / shard).string());
      }
    } else if (fs::exists(root / kSingle, ignored)) {
      names.push_back((root / kSingle).string());
    } else {
      throw DataError(path, fmt::format("has neither {} nor {}; give the folder of a checkpoint", kSingle, kIndex));
    }
  }
  for (const std::string& name : names) {
    files_.emplace_back(name);
    for (const StoredTensor& tensor : files_.back().tensors()) {
      const auto [at, fresh] = tensors_.try_emplace(tensor.name, FolderTensor{files_.size() - 1, tensor});
      if (!fresh)
        throw DataError(
            name, fmt::format("holds tensor {}, which {} holds too", tensor.name, files_[at->second.file].path()));
      if (index.empty()) continue;
      const auto listed = index.find(tensor.name);
      if (listed == index.end())
        throw DataError(name, fmt::format("holds tensor {}, which {} does not name", tensor.name, kIndex));
    }
  }
  for (const auto& [tensor, shard] : index) {
    const FolderTensor* found = find(tensor);
    const std::string file = (root / shard).string();
    if (found == nullptr || file_of(*found).path() != file)
      throw DataError(file, fmt::format("lacks tensor {}, which {} says it holds", tensor, kIndex));
  }
}

const FolderTensor* CheckpointFolder::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

int64_t CheckpointFolder::bytes() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) sum += entry.tensor.bytes();
  return sum;
}

int64_t CheckpointFolder::elements() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) sum += entry.tensor.elements();
  return sum;
}

Json CheckpointFolder::config() const {
  std::error_code ignored;
  if (!std::filesystem::exists(config_path_, ignored)) return nullptr;
  return read_json_file(config_path_);
}

}  // namespace timetrial::checkpoint
