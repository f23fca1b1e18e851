// What is wrong with a checkpoint for a model, in words.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "timetrial/base/error.h"
#include "timetrial/checkpoint/mapping.h"

namespace timetrial::checkpoint {

namespace {

bool same_shape(const Piece& piece, const std::vector<int64_t>& stored) {
  if (!piece.leading_rows) return piece.shape == stored;
  return stored.size() == piece.shape.size() && !stored.empty() &&
         std::equal(stored.begin() + 1, stored.end(), piece.shape.begin() + 1);
}

bool same_value(const Json& a, const Json& b) {
  if (!a.is_number() || !b.is_number()) return a == b;
  const auto x = a.get<double>(), y = b.get<double>();
  return std::fabs(x - y) <= 1e-12 * std::max(std::fabs(x), std::fabs(y));
}

// Rotary settings have moved over the years: rope_theta beside rope_scaling (with "type" or "rope_type"), later all of
// it in rope_parameters. Brought to the later form.
Json modern(Json config) {
  if (!config.is_object()) return config;
  Json rope = config.contains("rope_parameters") ? config["rope_parameters"] : Json::object();
  if (rope.is_null()) rope = Json::object();
  if (const auto scaling = config.find("rope_scaling"); scaling != config.end() && scaling->is_object())
    for (const auto& [key, value] : scaling->items()) rope.emplace(key == "type" ? "rope_type" : key, value);
  if (config.contains("rope_theta")) rope.emplace("rope_theta", config["rope_theta"]);
  if (!rope.contains("rope_type")) rope["rope_type"] = "default";
  config["rope_parameters"] = rope;
  config.erase("rope_scaling");
  config.erase("rope_theta");
  return config;
}

// Keys that both have, and whose values differ, inside nested objects too.
void compare(const Json& wanted, const Json& stored, const std::string& prefix, const std::set<std::string>& free,
             std::vector<std::string>& found) {
  for (const auto& [key, value] : wanted.items()) {
    const std::string name = prefix + key;
    if (free.count(name) == 1 || !stored.contains(key) || stored[key].is_null()) continue;
    if (value.is_object() && stored[key].is_object()) {
      compare(value, stored[key], name + ".", free, found);
    } else if (!same_value(value, stored[key])) {
      found.push_back(
          fmt::format("config.json: {} is {}, the run's model has {}", name, stored[key].dump(), value.dump()));
    }
  }
}

std::string quantisation(const CheckpointFolder& folder, const Json& config) {
  if (config.is_object() && config.contains("quantization_config") && config["quantization_config"].is_object())
    return config["quantization_config"].value("quant_method", "an unnamed method");
  for (const auto& [name, entry] : folder.tensors())
    if (name.ends_with("_blocks") && entry.tensor.type == StoredType::other) return "blocks and scales";
  return "";
}

}  // namespace

std::vector<std::string> problems(const Format& format, const CheckpointFolder& folder) {
  std::vector<std::string> found;
  const Json config = folder.config();
  if (const std::string method = quantisation(folder, config); !method.empty())
    found.push_back(
        fmt::format("{}: is quantised ({}); only bf16, fp16, fp32 and fp64 weights can be read, convert it "
                    "with the tools of its makers first",
                    folder.path(), method));
  std::set<std::string> known(format.ignored.begin(), format.ignored.end());
  for (const MappedParameter& parameter : format.parameters)
    for (const Piece& piece : parameter.pieces) {
      known.insert(piece.tensor);
      const FolderTensor* entry = folder.find(piece.tensor);
      if (entry == nullptr) {
        found.push_back(
            fmt::format("{}: tensor {} of shape {} is missing", folder.path(), piece.tensor, text_of(piece.shape)));
        continue;
      }
      const std::string& file = folder.file_of(*entry).path();
      if (!same_shape(piece, entry->tensor.shape))
        found.push_back(fmt::format("{}: tensor {} has the shape {}, the run's model needs {}", file, piece.tensor,
                                    text_of(entry->tensor.shape), text_of(piece.shape)));
      if (!is_floating(entry->tensor.type))
        found.push_back(fmt::format("{}: tensor {} is of type {}; bf16, fp16, fp32 and fp64 can be read", file,
                                    piece.tensor, entry->tensor.type_name));
    }
  for (const auto& [name, entry] : folder.tensors())
    if (known.count(name) == 0)
      found.push_back(fmt::format("{}: tensor {} of shape {} belongs to nothing in the run's model",
                                  folder.file_of(entry).path(), name, text_of(entry.tensor.shape)));
  if (config.is_object()) {
    const std::set<std::string> free(format.free_config_keys.begin(), format.free_config_keys.end());
    compare(modern(format.config), modern(config), "", free, found);
  }
  return found;
}

}  // namespace timetrial::checkpoint
