// Official log keys, what a run logs under them, and where that differs from the full benchmark.
// SPDX-License-Identifier: Apache-2.0
#include "scaled_rules.h"

#include <functional>

#include "timetrial/base/error.h"

namespace timetrial {

// The keys are those of the official rules for this benchmark (spec 13.3) that fix a value.
Json expected_value(const RunConfig& run, const std::string& log_key) {
  const std::map<std::string, std::function<Json()>> values = {
      {"max_sequence_length", [&] { return run.model.sequence_length; }},
      {"global_batch_size", [&] { return run.train.global_batch; }},
      {"max_steps", [&] { return run.train.max_steps; }},
      {"opt_base_learning_rate", [&] { return run.train.learning_rate; }},
      {"opt_end_learning_rate", [&] { return run.train.end_learning_rate; }},
      {"opt_learning_rate_warmup_steps", [&] { return run.train.warmup_steps; }},
      {"opt_learning_rate_decay_steps", [&] { return run.train.decay_steps; }},
      {"opt_adamw_beta_1", [&] { return run.train.beta_1; }},
      {"opt_adamw_beta_2", [&] { return run.train.beta_2; }},
      {"opt_adamw_epsilon", [&] { return run.train.epsilon; }},
      {"opt_adamw_weight_decay", [&] { return run.train.weight_decay; }},
      {"opt_gradient_clip_norm", [&] { return run.train.clip_norm; }},
      {"moe_aux_loss_coeff", [&] { return run.model.router.aux_loss; }},
      {"eval_samples", [&] { return run.evaluation.samples; }},
      {"eval_accuracy", [&] { return run.evaluation.target; }},
  };
  const auto found = values.find(log_key);
  TIMETRIAL_CHECK(found != values.end(), "{} is not the log key of a rule", log_key);
  return found->second();
}

namespace config {

std::vector<ScaledRule> scaled_rules(const std::vector<Field>& fields, const Json& benchmark, const RunConfig& run,
                                     const Values& free) {
  const Json& mlperf = member(benchmark, "mlperf", "");
  const Names full{.variant = member(mlperf, "variant", "/mlperf").get<std::string>(),
                   .form = member(benchmark, "default_form", "").get<std::string>()};
  const RunConfig official = build(fields, laid_over(default_values(fields, benchmark, full), free));
  std::vector<ScaledRule> rules;
  for (const Json& rule : member(mlperf, "rules", "/mlperf")) {
    const auto key = member(rule, "key", "/mlperf/rules").get<std::string>();
    const Json expected = expected_value(run, key), wanted = expected_value(official, key);
    if (expected == wanted) continue;
    // The rule asks for a loss of at most the target: a run that goes on below it holds the rule.
    if (key == "eval_accuracy" && run.evaluation.target < official.evaluation.target) continue;
    const auto meaning = member(rule, "description", "/mlperf/rules").get<std::string>();
    rules.push_back({key, fmt::format("{}: {} instead of {}", meaning, expected.dump(), wanted.dump())});
  }
  return rules;
}

}  // namespace config

}  // namespace timetrial
