// Looking into, converting and verifying checkpoints of safetensors, one part of a tensor at a time.
// SPDX-License-Identifier: Apache-2.0
#include "apps/checkpoint_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/checkpoint/folder.h"
#include "timetrial/launch/worker_process.h"

namespace timetrial::apps {

namespace {

using checkpoint::CheckpointFolder;
using checkpoint::FolderTensor;
using checkpoint::StoredType;

constexpr int64_t kPart = int64_t{1} << 22;  // elements read at once

struct CheckpointArguments {
  std::string folder, target, config, dtype = "bf16";
  std::vector<std::string> overrides;
  double shard_gigabytes = 5;
  bool json = false, quick = false;
};

// "model.layers.17.mlp.up_proj.weight" -> "model.layers.*.mlp.up_proj.weight"
std::string pattern_of(const std::string& name) {
  std::string pattern;
  for (size_t i = 0; i < name.size();) {
    const bool starts = i == 0 || name[i - 1] == '.';
    size_t end = i;
    while (end < name.size() && std::isdigit(static_cast<unsigned char>(name[end])) != 0) ++end;
    if (starts && end > i && (end == name.size() || name[end] == '.')) {
      pattern += '*';
      i = end;
    } else {
      pattern += name[i++];
    }
  }
  return pattern;
}

struct Group {
  int64_t count = 0, elements = 0;
  std::string shape, type;
};

std::map<std::string, Group> groups_of(const CheckpointFolder& folder) {
  std::map<std::string, Group> groups;
  for (const auto& [name, entry] : folder.tensors()) {
    Group& group = groups[pattern_of(name)];
    const std::string shape = checkpoint::text_of(entry.tensor.shape);
    group.shape = group.count == 0 || group.shape == shape ? shape : "various";
    group.type = group.count == 0 || group.type == entry.tensor.type_name ? entry.tensor.type_name : "various";
    group.elements += entry.tensor.elements();
    ++group.count;
  }
  return groups;
}

void inspect(const CheckpointArguments& arguments) {
  const CheckpointFolder folder(arguments.folder);
  const Json config = folder.config();
  const std::string model = config.is_object() ? config.value("model_type", "not said") : "no config.json";
  const std::map<std::string, Group> groups = groups_of(folder);
  if (arguments.json) {
    Json tensors = Json::array();
    for (const auto& [name, entry] : folder.tensors())
      tensors.push_back({{"name", name},
                         {"type", entry.tensor.type_name},
                         {"shape", entry.tensor.shape},
                         {"file", folder.file_of(entry).path()}});
    fmt::print("{}\n", Json{{"schema", "timetrial.checkpoint/1"},
                            {"path", folder.path()},
                            {"model_type", model},
                            {"files", folder.files().size()},
                            {"bytes", folder.bytes()},
                            {"elements", folder.elements()},
                            {"tensors", tensors}}
                           .dump(2));
    return;
  }
  fmt::print("{}: {} tensors, {} elements, {:.3f} GB in {} files (model_type: {})\n\n", folder.path(),
             folder.tensors().size(), folder.elements(), static_cast<double>(folder.bytes()) / 1e9,
             folder.files().size(), model);
  fmt::print("{:>6}  {:<52}  {:<6}  {:<20}  {:>16}\n", "count", "tensor", "type", "shape", "elements in all");
  for (const auto& [pattern, group] : groups)
    fmt::print("{:>6}  {:<52}  {:<6}  {:<20}  {:>16}\n", group.count, pattern, group.type, group.shape, group.elements);
}

// A percentage on a terminal, nothing elsewhere.
class Progress {
 public:
  explicit Progress(int64_t total) : total_(std::max<int64_t>(total, 1)), terminal_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }
  void add(int64_t bytes) {
    done_ += bytes;
    const int64_t percent = done_ * 100 / total_;
    if (terminal_ && percent != shown_) fmt::print(stderr, "\r{} %", shown_ = percent);
  }

 private:
  int64_t total_, done_ = 0, shown_ = -1;
  bool terminal_;
};

// Values that are no finite numbers, tensor by tensor.
int verify(const CheckpointArguments& arguments) {
  const CheckpointFolder folder(arguments.folder);
  int64_t bad_tensors = 0;
  Progress progress(folder.bytes());
  std::vector<double> values;
  std::vector<std::string> lines;
  for (const auto& [name, entry] : folder.tensors()) {
    const std::string& file = folder.file_of(entry).path();
    if (!checkpoint::is_floating(entry.tensor.type)) {
      ++bad_tensors;
      lines.push_back(fmt::format("{}: tensor {} is of type {}; bf16, fp16, fp32 and fp64 can be read", file, name,
                                  entry.tensor.type_name));
      continue;
    }
    if (arguments.quick) continue;
    int64_t bad = 0, first = -1;
    for (int64_t at = 0; at < entry.tensor.elements(); at += kPart) {
      values.resize(static_cast<size_t>(std::min(kPart, entry.tensor.elements() - at)));
      folder.file_of(entry).read(entry.tensor, at, values);
      for (size_t i = 0; i < values.size(); ++i) {
        if (std::isfinite(values[i])) continue;
        if (bad++ == 0) first = at + static_cast<int64_t>(i);
      }
      progress.add(static_cast<int64_t>(values.size() * size_of(entry.tensor.type)));
    }
    if (bad == 0) continue;
    ++bad_tensors;
    lines.push_back(
        fmt::format("{}: tensor {}: {} values are no finite numbers, the first at element {}", file, name, bad, first));
  }
  for (const std::string& line : lines) fmt::print("{}\n", line);
  fmt::print("{}: {}, {} tensors in {} files, {} of them bad{}\n", folder.path(),
             bad_tensors == 0 ? "sound" : "not sound", folder.tensors().size(), folder.files().size(), bad_tensors,
             arguments.quick ? " (headers only; values were not read)" : "");
  return bad_tensors == 0 ? kSuccess : kFailedCheck;
}

void convert(const CheckpointArguments& arguments) {
  const StoredType type = checkpoint::stored_type_of(arguments.dtype);
  if (!(arguments.shard_gigabytes >= 1e-9 && arguments.shard_gigabytes <= 1e6))
    throw UserError(fmt::format("--shard-gb {}: must be a number from 1e-9 to 1e6", arguments.shard_gigabytes));
  const CheckpointFolder folder(arguments.folder);
  std::vector<checkpoint::SafetensorsWriter::Entry> entries;
  for (const auto& [name, entry] : folder.tensors()) {
    if (!checkpoint::is_floating(entry.tensor.type))
      throw DataError(folder.file_of(entry).path(),
                      fmt::format("tensor {} is of type {}, which cannot be converted; bf16, fp16, fp32 and fp64 can",
                                  name, entry.tensor.type_name));
    entries.push_back({name, type, entry.tensor.shape});
  }
  if (entries.empty()) throw DataError(folder.path(), "holds no tensors");
  Json config = folder.config();
  if (config.is_object()) {
    const std::map<StoredType, const char*> names = {{StoredType::bf16, "bfloat16"},
                                                     {StoredType::f16, "float16"},
                                                     {StoredType::f32, "float32"},
                                                     {StoredType::f64, "float64"}};
    config.erase("torch_dtype");
    config["dtype"] = names.at(type);
  }
  checkpoint::FolderWriter writer(arguments.target, entries, static_cast<int64_t>(arguments.shard_gigabytes * 1e9));
  Progress progress(folder.bytes());
  std::vector<double> values;
  std::vector<std::byte> bytes;
  int64_t copied = 0;
  for (const auto& [name, entry] : folder.tensors()) {
    const bool same = entry.tensor.type == type;
    copied += same ? 1 : 0;
    for (int64_t at = 0; at < entry.tensor.elements(); at += kPart) {
      const int64_t count = std::min(kPart, entry.tensor.elements() - at);
      bytes.resize(static_cast<size_t>(count) * checkpoint::size_of(type));
      if (same) {
        folder.file_of(entry).read_bytes(entry.tensor, at, count, bytes.data());
      } else {
        values.resize(static_cast<size_t>(count));
        folder.file_of(entry).read(entry.tensor, at, values);
        checkpoint::encode(type, values, bytes);
      }
      writer.append(bytes);
      progress.add(count * static_cast<int64_t>(checkpoint::size_of(entry.tensor.type)));
    }
  }
  writer.finish(config);
  fmt::print("{}: {} tensors as {}, {} of them copied bit by bit{}\n", arguments.target, folder.tensors().size(),
             checkpoint::name_of(type), copied,
             config.is_object() ? "; tokenizer files are not copied" : "; there was no config.json to copy");
}

}  // namespace

void add_checkpoint_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "checkpoint", "look into, convert and verify checkpoints of safetensors (Hugging Face folders)");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  timetrial checkpoint inspect meta-llama/Llama-3.1-405B\n"
      "  timetrial checkpoint verify ckpt --config configs/small/llama31_405b.json     does it fit this run's model?\n"
      "  timetrial checkpoint convert ckpt ckpt-bf16 --dtype bf16\n"
      "Exit code: 0 sound, 1 verified and not sound, 2 something to mend in the input.");
  auto arguments = std::make_shared<CheckpointArguments>();

  CLI::App* look = command->add_subcommand("inspect", "tensors, types, shapes and sizes; reads headers only");
  look->add_option("DIR", arguments->folder, "folder of a checkpoint, or one safetensors file")->required();
  look->add_flag("--json", arguments->json, "print as JSON, tensor by tensor");
  look->callback([arguments] { inspect(*arguments); });

  CLI::App* check =
      command->add_subcommand("verify", "is it whole, is every value a number, does it fit a run's model?");
  check->add_option("DIR", arguments->folder, "folder of a checkpoint, or one safetensors file")->required();
  check->add_flag("--quick", arguments->quick, "headers only: do not read the values");
  CLI::Option* config = check->add_option("--config", arguments->config, "compare with the model of this run");
  check->add_option("--set", arguments->overrides, "override one key of the run")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->needs(config);
  check->callback([arguments, &exit_code] {
    exit_code = verify(*arguments);
    if (exit_code != kSuccess || arguments->config.empty()) return;
    std::vector<std::string> line{launch::worker_path(), arguments->config};
    for (const std::string& text : arguments->overrides) line.insert(line.end(), {"--set", text});
    line.insert(line.end(), {"--verify-checkpoint", arguments->folder});
    std::fflush(stdout);
    launch::become(line);
  });

  CLI::App* change = command->add_subcommand("convert", "write it again in another element type or other shards");
  change->add_option("SOURCE", arguments->folder, "folder of a checkpoint, or one safetensors file")->required();
  change->add_option("TARGET", arguments->target, "new folder")->required();
  change->add_option("--dtype", arguments->dtype, "bf16, fp16, fp32 or fp64")->capture_default_str();
  change->add_option("--shard-gb", arguments->shard_gigabytes, "largest file, 1e9 bytes")->capture_default_str();
  change->callback([arguments] { convert(*arguments); });
}

}  // namespace timetrial::apps
