// A RunConfig as JSON, as text and as a hash, and the help of its fields: all from the table.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "field.h"
#include "timetrial/config/names_help.h"

namespace timetrial {

namespace {

using config::Field;

size_t longest_key(const std::vector<Field>& fields) {
  size_t width = 0;
  for (const Field& field : fields) width = std::max(width, field.key.size());
  return width;
}

}  // namespace

Json effective_json(const RunConfig& run) {
  Json effective = Json::object();
  for (const Field& field : config::make_fields()) {
    effective[Json::json_pointer(config::path_of(field.key))] = field.get(run);
  }
  return effective;
}

std::string config_hash(const RunConfig& run) {
  Json effective = effective_json(run);
  effective.erase("output");  // where things are put changes nothing of the work
  effective["train"].erase("seed");
  effective["submission"].erase("platform");
  return hash_text(effective.dump());
}

std::string config_help() {
  const std::vector<Field> fields = config::make_fields();
  const size_t width = longest_key(fields);
  std::string help;
  for (const Field& field : fields) {
    const std::string otherwise = field.otherwise ? fmt::format(" [default {}]", field.otherwise->dump()) : "";
    help += fmt::format("{:<{}}  {} ({}){}\n", field.key, width, field.meaning, field.type, otherwise);
  }
  return help;
}

std::string names_help(const Json& benchmark) {
  std::string help = fmt::format("workload {}\n", benchmark.at("name").get<std::string>());
  const auto add = [&help](const char* what, const std::string& name, const Json& named, bool chosen) {
    help += fmt::format("  {:<8}{:<12}{}{}\n", what, name, named.at("description").get<std::string>(),
                        chosen ? " [default]" : "");
  };
  for (const auto& [name, variant] : benchmark.at("variants").items()) add("variant", name, variant, false);
  for (const auto& [name, form] : benchmark.at("forms").items())
    add("form", name, form, name == benchmark.at("default_form"));
  return help;
}

}  // namespace timetrial
