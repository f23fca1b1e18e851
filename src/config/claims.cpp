// Names and free values, read from what the user asks for.
// SPDX-License-Identifier: Apache-2.0
#include "claims.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "benchmark_rules.h"
#include "timetrial/base/error.h"

namespace timetrial::config {

namespace {

std::vector<std::string> names_in(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, content] : object.items()) names.push_back(name);
  names.emplace_back(kCustom);
  return names;
}

}  // namespace

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string read_workload(const Values& asked) {
  const auto found = asked.find("workload");
  if (found == asked.end()) throw ConfigError("/workload", "is missing; name what to train, e.g. gpt_oss_20b");
  return read_text(found->second.json, false, found->second.path);
}

Names read_names(Values& asked, const Json& benchmark) {
  const std::string workload = read_workload(asked);
  const auto own = member(benchmark, "name", "").get<std::string>();
  if (workload != own) {
    throw ConfigError("/workload",
                      fmt::format("{} is not {}, the workload of this benchmark.json", shown(workload), own));
  }
  const std::vector<std::string> variants = names_in(member(benchmark, "variants", ""));
  const std::vector<std::string> forms = names_in(member(benchmark, "forms", ""));
  if (!asked.contains("variant")) {
    throw ConfigError("/variant", fmt::format("is missing; choose one of {}", fmt::join(variants, ", ")));
  }
  asked.try_emplace("form", Value{member(benchmark, "default_form", ""), "/form"});
  const Value &variant = asked.at("variant"), &form = asked.at("form");
  return {.variant = variants[read_choice(variant.json, variants, variant.path)],
          .form = forms[read_choice(form.json, forms, form.path)]};
}

Values free_values(const std::vector<Field>& fields, const RunConfig& run, const Json& benchmark, const Names& names) {
  const Json& mlperf = member(benchmark, "mlperf", "");
  const bool full = names.variant == full_variant(benchmark);
  auto keys = member(mlperf, "free", "/mlperf").get<std::vector<std::string>>();
  if (full && mlperf.contains("free_in_full"))
    for (const Json& key : mlperf["free_in_full"]) keys.push_back(key.get<std::string>());
  Values free;
  for (const Field& field : fields) {
    if (contains(keys, field.key)) free[field.key] = {field.get(run), path_of(field.key), false};
  }
  TIMETRIAL_CHECK(free.size() == keys.size(), "/mlperf/free of the benchmark names a key that is none");
  const auto least = mlperf.find("smallest_batch");
  if (least != mlperf.end() && run.train.global_batch < least->get<int64_t>()) free.erase("train.global_batch");
  if (!full) return free;
  for (const Field& field : fields) {
    const auto allowed = allowed_values(fields, run, benchmark, field.key);
    if (!allowed) continue;
    if (is_among(field.get(run).get<double>(), *allowed))
      free[field.key] = {field.get(run), path_of(field.key), false};
    else
      free.erase(field.key);
  }
  return free;
}

}  // namespace timetrial::config
