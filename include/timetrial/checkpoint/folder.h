// CheckpointFolder: a Hugging Face checkpoint as one set of named tensors, in one file or many.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/checkpoint/safetensors.h"

namespace timetrial::checkpoint {

struct FolderTensor {
  size_t file = 0;  // index into files()
  StoredTensor tensor;
};

// Reads headers only. Thread-safe after construction. Memory: a few hundred bytes per tensor.
class CheckpointFolder {
 public:
  // A folder with model.safetensors.index.json and its shards, or with one model.safetensors, or the path of one
  // safetensors file. Throws DataError naming file and tensor: no checkpoint there, a shard that the index names and
  // that is missing, a tensor that is not in the shard the index says, a tensor that two shards hold or no index names.
  explicit CheckpointFolder(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  const std::map<std::string, FolderTensor>& tensors() const { return tensors_; }
  const FolderTensor* find(const std::string& name) const;  // null when it is not there
  const SafetensorsFile& file_of(const FolderTensor& tensor) const { return files_.at(tensor.file); }
  int64_t bytes() const;     // of all tensors
  int64_t elements() const;  // of all tensors
  // The content of config.json; null when there is none.
  Json config() const;

 private:
  std::string path_, config_path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, FolderTensor> tensors_;
};

// Writes a checkpoint folder that transformers can load: tensors in the order given, cut into shards of at most
// `shard_bytes` (one tensor may exceed it), with an index when there is more than one. The folder is made. Tensors come
// one after another, each in parts. One thread.
class FolderWriter {
 public:
  // Throws UserError when the folder holds a checkpoint already or cannot be made.
  FolderWriter(const std::string& path, std::vector<SafetensorsWriter::Entry> entries, int64_t shard_bytes);
  ~FolderWriter();

  // The next bytes of the tensors in order; parts may not cross a tensor's end.
  void append(std::span<const std::byte> bytes);
  // Throws Error unless everything was appended. Writes the index and, when it is no null, config.json.
  void finish(const Json& config);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace timetrial::checkpoint
