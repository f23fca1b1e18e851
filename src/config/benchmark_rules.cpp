// Rules as data: keys of the log and of the configuration side by side, divisions, lists of allowed values.
// SPDX-License-Identifier: Apache-2.0
#include "benchmark_rules.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial::config {

namespace {

// Log keys of the official rules that fix a value (spec 13), and where a run has it.
constexpr std::pair<const char*, const char*> kKeys[] = {{"max_sequence_length", "model.sequence_length"},
                                                         {"global_batch_size", "train.global_batch"},
                                                         {"max_steps", "train.max_steps"},
                                                         {"opt_base_learning_rate", "train.learning_rate"},
                                                         {"opt_end_learning_rate", "train.end_learning_rate"},
                                                         {"opt_learning_rate_warmup_steps", "train.warmup_steps"},
                                                         {"opt_learning_rate_decay_steps", "train.decay_steps"},
                                                         {"opt_adamw_beta_1", "train.beta_1"},
                                                         {"opt_adamw_beta_2", "train.beta_2"},
                                                         {"opt_adamw_epsilon", "train.epsilon"},
                                                         {"opt_adamw_weight_decay", "train.weight_decay"},
                                                         {"opt_gradient_clip_norm", "train.clip_norm"},
                                                         {"moe_aux_loss_coeff", "model.router.aux_loss"},
                                                         {"eval_samples", "evaluation.samples"},
                                                         {"eval_accuracy", "evaluation.target"}};

}  // namespace

bool is_open(const RunConfig& run) { return run.submission.division == "open"; }

std::string full_variant(const Json& benchmark) {
  return member(member(benchmark, "mlperf", ""), "variant", "/mlperf").get<std::string>();
}

std::string config_key(const std::string& log_key) {
  for (const auto& [logged, key] : kKeys)
    if (log_key == logged) return key;
  throw Error(fmt::format("{} is not the log key of a rule", log_key));
}

std::vector<Json> rules_of_division(const Json& benchmark, const RunConfig& run) {
  std::vector<Json> rules;
  for (const Json& rule : member(member(benchmark, "mlperf", ""), "rules", "/mlperf"))
    if (!is_open(run) || rule.value("open", false)) rules.push_back(rule);
  return rules;
}

bool is_fixed(const std::string& key, const Json& benchmark, const RunConfig& run) {
  if (!is_open(run)) return key.starts_with("model.") || key.starts_with("train.") || key.starts_with("evaluation.");
  const std::vector<Json> rules = rules_of_division(benchmark, run);
  return std::any_of(rules.begin(), rules.end(), [&](const Json& rule) {
    return config_key(member(rule, "key", "/mlperf/rules").get<std::string>()) == key;
  });
}

std::optional<std::vector<double>> allowed_values(const std::vector<Field>& fields, const RunConfig& run,
                                                  const Json& benchmark, const std::string& key) {
  const Json& mlperf = member(benchmark, "mlperf", "");
  if (!mlperf.contains("allowed") || !mlperf["allowed"].contains(key)) return std::nullopt;
  std::vector<double> values;
  for (const Json& value : mlperf["allowed"][key])
    values.push_back(value.is_object() ? derived_number(fields, run, {value, "/mlperf/allowed", true})
                                       : value.get<double>());
  return values;
}

bool is_among(double value, const std::vector<double>& allowed) {
  constexpr double kLastDigits = 1e-12;  // a tenth of a rate, divided and written out
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](double one) { return std::abs(value - one) <= kLastDigits * std::abs(one); });
}

}  // namespace timetrial::config
