// Field by field from MLPerf's names to ours.
// SPDX-License-Identifier: Apache-2.0
#include "results/system_facts.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "results/file_text.h"
#include "results/json_value.h"
#include "timetrial/base/error.h"

namespace timetrial::results {

namespace {

struct Field {
  const char* theirs;
  const char* ours;
  bool count;     // a whole number of things
  bool demanded;  // its absence is worth a word
};
constexpr Field kFields[] = {{"submitter", "submitter", false, true},
                             {"division", "division", false, true},
                             {"status", "status", false, true},
                             {"system_name", "system_name", false, true},
                             {"number_of_nodes", "nodes", true, true},
                             {"accelerators_per_node", "accelerators_per_node", true, true},
                             {"accelerator_model_name", "accelerator", false, true},
                             {"accelerator_memory_capacity", "accelerator_memory", false, false},
                             {"accelerator_interconnect", "accelerator_interconnect", false, false},
                             {"host_processor_model_name", "host_processor", false, true},
                             {"host_processors_per_node", "host_processors_per_node", true, false},
                             {"host_memory_capacity", "host_memory", false, false},
                             {"host_networking", "interconnect", false, false},
                             {"framework", "framework", false, true},
                             {"operating_system", "operating_system", false, false}};

std::optional<int64_t> count_of(const Json& value) {
  if (value.is_number()) {
    const double number = value.get<double>();
    return number >= 0 && number < 1e9 && number == static_cast<double>(static_cast<int64_t>(number))
               ? std::optional(static_cast<int64_t>(number))
               : std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  std::string_view text = value.get_ref<const std::string&>();
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number >= 1000000000)
    return std::nullopt;
  return number;
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

}  // namespace

SystemFacts system_facts(const Json& description) {
  SystemFacts facts;
  if (!description.is_object()) {
    facts.problems.push_back("is no JSON object");
    return facts;
  }
  for (const Field& field : kFields) {
    Json& own = facts.fields[field.ours] = nullptr;
    if (!description.contains(field.theirs)) {
      if (field.demanded) facts.problems.push_back(fmt::format("\"{}\" is missing", field.theirs));
      continue;
    }
    const Json& value = description.at(field.theirs);
    if (field.count) {
      if (const std::optional<int64_t> count = count_of(value)) {
        own = *count;
      } else if (field.demanded) {
        facts.problems.push_back(fmt::format("\"{}\" is {}, no whole number", field.theirs, shown(value)));
      }
    } else if (value.is_string()) {
      own = value;
    } else if (value.is_number()) {
      own = value.dump();
    } else {
      facts.problems.push_back(fmt::format("\"{}\" is {}, no text", field.theirs, shown(value)));
    }
  }
  const Json &nodes = facts.fields["nodes"], &each = facts.fields["accelerators_per_node"];
  facts.fields["accelerators"] =
      nodes.is_number() && each.is_number() ? Json(nodes.get<int64_t>() * each.get<int64_t>()) : Json();
  return facts;
}

SystemFacts read_system_facts(const std::string& path) {
  SystemFacts facts;
  try {
    return system_facts(parse_json(FileText(path).view(), path));
  } catch (const UserError& error) {
    facts = system_facts(Json::object());
    facts.problems = {error.what()};
    return facts;
  }
}

}  // namespace timetrial::results
