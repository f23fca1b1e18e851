// From a config file, a benchmark and overrides to a checked RunConfig that bears an honest name.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/run_config.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "layers.h"
#include "scaled_rules.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

using config::build;
using config::Field;
using config::kCustom;
using config::Names;
using config::path_of;
using config::Values;

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<std::string> names_in(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, content] : object.items()) names.push_back(name);
  names.emplace_back(kCustom);
  return names;
}

std::string read_workload(const Values& asked) {
  const auto found = asked.find("workload");
  if (found == asked.end()) throw ConfigError("/workload", "is missing; name what to train, e.g. gpt_oss_20b");
  return config::read_text(found->second.json, false, found->second.path);
}

Names read_names(Values& asked, const Json& benchmark) {
  const std::string workload = read_workload(asked);
  const auto own = config::member(benchmark, "name", "").get<std::string>();
  if (workload != own) {
    throw ConfigError("/workload",
                      fmt::format("{} is not {}, the workload of this benchmark.json", config::shown(workload), own));
  }
  const std::vector<std::string> variants = names_in(config::member(benchmark, "variants", ""));
  const std::vector<std::string> forms = names_in(config::member(benchmark, "forms", ""));
  if (!asked.contains("variant")) {
    throw ConfigError("/variant", fmt::format("is missing; choose one of {}", fmt::join(variants, ", ")));
  }
  asked.try_emplace("form", config::Value{config::member(benchmark, "default_form", ""), "/form"});
  const config::Value &variant = asked.at("variant"), &form = asked.at("form");
  return {.variant = variants[config::read_choice(variant.json, variants, variant.path)],
          .form = forms[config::read_choice(form.json, forms, form.path)]};
}

void require_all(const std::vector<Field>& fields, const Values& values, const Names& names) {
  for (const Field& field : fields) {
    if (values.contains(field.key)) continue;
    const bool custom = names.variant == kCustom || names.form == kCustom;
    throw ConfigError(path_of(field.key),
                      fmt::format("is missing{}; set {} ({})", custom ? ", and a custom run has no default for it" : "",
                                  field.key, field.meaning));
  }
}

// The values a benchmark leaves free, as the run has them; a batch below /mlperf/smallest_batch is not free.
Values free_values(const std::vector<Field>& fields, const RunConfig& run, const Json& benchmark) {
  const Json& mlperf = config::member(benchmark, "mlperf", "");
  const auto keys = config::member(mlperf, "free", "/mlperf").get<std::vector<std::string>>();
  Values free;
  for (const Field& field : fields) {
    if (contains(keys, field.key)) free[field.key] = {field.get(run), path_of(field.key), false};
  }
  TIMETRIAL_CHECK(free.size() == keys.size(), "/mlperf/free of the benchmark names a key that is none");
  const auto least = mlperf.find("smallest_batch");
  if (least != mlperf.end() && run.train.global_batch < least->get<int64_t>()) free.erase("train.global_batch");
  return free;
}

// A run bears its variant's and form's name only while all that these fix is as they fix it. A form answers for the
// model switches that forms set, a variant for the rest.
Names honest_names(const std::vector<Field>& fields, const RunConfig& run, const Json& benchmark, const Names& claimed,
                   const Values& free) {
  const Values named = config::laid_over(config::default_values(fields, benchmark, claimed), free);
  const RunConfig plain = build(fields, named);
  const std::vector<std::string> of_forms = config::form_keys(fields, benchmark, claimed);
  Names names = claimed;
  for (const Field& field : fields) {
    const bool model = field.key.starts_with("model.");
    const bool fixed = model || field.key.starts_with("train.") || field.key.starts_with("evaluation.");
    if (!fixed || !named.contains(field.key) || field.get(run) == field.get(plain)) continue;
    (model && contains(of_forms, field.key) ? names.form : names.variant) = kCustom;
  }
  return names;
}

}  // namespace

std::pair<std::string, std::string> split_override(const std::string& text) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    throw UserError(fmt::format("--set {}: must be KEY=VALUE, e.g. train.seed=7", config::shown(text)));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string workload_of(const Json& user, const Overrides& overrides) {
  return read_workload(config::asked_values(config::make_fields(), user, overrides));
}

RunConfig parse_run_config(const Json& user, const Json& benchmark, const std::string& name,
                           const Overrides& overrides) {
  const std::vector<Field> fields = config::make_fields();
  Values asked = config::asked_values(fields, user, overrides);
  const Names names = read_names(asked, benchmark);
  const Values defaults = config::default_values(fields, benchmark, names);
  const Values values = config::laid_over(defaults, asked);
  require_all(fields, values, names);
  RunConfig run = build(fields, values);
  run.name = name;
  validate(run);

  // Until nothing changes: with one name gone, the other is held against fewer defaults. A config that is printed and
  // parsed again then bears the same names.
  const Values free = free_values(fields, run, benchmark);
  for (Names claimed = names;;) {
    const Names honest = honest_names(fields, run, benchmark, claimed, free);
    run.variant = honest.variant;
    run.form = honest.form;
    if (honest == claimed) break;
    claimed = honest;
  }
  run.scaled_rules = config::scaled_rules(fields, benchmark, run, free);
  return run;
}

std::vector<std::string> rule_breaches(const Json& user, const Json& benchmark, const Overrides& overrides,
                                       const RunConfig& run) {
  const std::vector<Field> fields = config::make_fields();
  Values asked = config::asked_values(fields, user, overrides);
  const Names names = read_names(asked, benchmark);
  const Json& mlperf = config::member(benchmark, "mlperf", "");
  if (names.variant != config::member(mlperf, "variant", "/mlperf").get<std::string>()) return {};

  const bool open = run.submission.division == "open";
  const auto least = mlperf.find("smallest_batch");
  if (!open && least != mlperf.end() && run.train.global_batch < least->get<int64_t>())  // much follows from it
    return {fmt::format("/train/global_batch: {}, but the closed rules of {} allow no less than {}",
                        run.train.global_batch, run.workload, least->get<int64_t>())};
  const std::vector<std::string> of_open = {"model.sequence_length", "evaluation.target"};
  const Names claimed{
      .variant = names.variant,
      .form = names.form == kCustom ? config::member(benchmark, "default_form", "").get<std::string>() : names.form};
  const Values free = free_values(fields, run, benchmark);
  const RunConfig plain = build(fields, config::laid_over(config::default_values(fields, benchmark, claimed), free));
  const std::string rules = fmt::format("the {} rules of {}", run.submission.division, run.workload);
  std::vector<std::string> breaches;
  for (const Field& field : fields) {
    const bool fixed =
        field.key.starts_with("model.") || field.key.starts_with("train.") || field.key.starts_with("evaluation.");
    if (!fixed || (open && !contains(of_open, field.key)) || field.get(run) == field.get(plain)) continue;
    // A lower target is harder, and reaching it reaches the official one.
    if (field.key == "evaluation.target" && run.evaluation.target < plain.evaluation.target) continue;
    breaches.push_back(fmt::format("{}: {}, but {} fix {} ({})", path_of(field.key), field.get(run).dump(), rules,
                                   field.get(plain).dump(), field.meaning));
  }
  return breaches;
}

}  // namespace timetrial
