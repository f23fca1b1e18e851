// The referee at the gate: what keeps a run from being the benchmark that it claims to be.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>

#include "claims.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

using config::Field;
using config::member;
using config::Names;
using config::path_of;
using config::Values;

// What the gate compares a run with: the benchmark, with the values that it leaves free as the run has them.
struct Official {
  const std::vector<Field>& fields;
  const Json& benchmark;
  Values values;

  RunConfig with_batch(int64_t batch) const {
    Values changed = values;
    changed["train.global_batch"].json = batch;
    return config::build(fields, changed);
  }
};

// One side of a rule that compares two doubles; a derived value as in benchmark.json's defaults.
double side_of(const Official& official, const RunConfig& run, const char* side) {
  const Json& rule = official.benchmark["mlperf"]["exact"];
  return config::derived_number(official.fields, run, {member(rule, side, "/mlperf/exact"), "/mlperf/exact"});
}

bool is_exact(const Official& official, const RunConfig& run) {
  return side_of(official, run, "left") == side_of(official, run, "right");
}

// The rules compare doubles, so there are batches for which no learning rate holds them (spec 11.1).
std::vector<std::string> exact_breaches(const Official& official, const RunConfig& run) {
  if (!official.benchmark["mlperf"].contains("exact")) return {};
  const int64_t batch = run.train.global_batch, step = run.train.micro_batch * run.parallel.data;
  const RunConfig plain = official.with_batch(batch);
  if (is_exact(official, plain)) return {};
  std::vector<int64_t> near;
  constexpr int64_t kFarthest = 1000;  // steps; one batch in ten fails
  for (int64_t away = 1; near.empty() && away <= kFarthest; ++away)
    for (const int64_t candidate : {batch - away * step, batch + away * step})
      if (candidate > 0 && is_exact(official, official.with_batch(candidate))) near.push_back(candidate);
  const auto rule = member(official.benchmark["mlperf"]["exact"], "rule", "/mlperf/exact").get<std::string>();
  return {
      fmt::format("/train/global_batch: {}, but the closed rules of {} demand that {}, and no learning rate for this "
                  "batch holds it "
                  "(its own is {}){}",
                  batch, run.workload, rule, plain.train.learning_rate,
                  near.empty() ? "" : fmt::format("; the nearest that one does: {}", fmt::join(near, " and ")))};
}

// A blend that the rules ask for: so many different files, all of one weight.
std::vector<std::string> blend_breaches(const Json& mlperf, const RunConfig& run) {
  const auto asked = mlperf.find("training_files");
  if (asked == mlperf.end()) return {};
  const auto files = asked->get<size_t>();
  const std::string rules =
      fmt::format("the closed rules of {} train on {} files in equal shares", run.workload, files);
  std::vector<std::string> different = run.data.train;
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  std::vector<std::string> breaches;
  if (run.data.train.size() != files || different.size() != files)
    breaches.push_back(fmt::format("/data/train: {}, but {}; name each file once", Json(run.data.train).dump(), rules));
  for (const double weight : run.data.train_weights)
    if (weight != run.data.train_weights.front()) {
      breaches.push_back(fmt::format("/data/train_weights: {}, but {}; leave the weights out",
                                     Json(run.data.train_weights).dump(), rules));
      break;
    }
  return breaches;
}

}  // namespace

std::vector<std::string> rule_breaches(const Json& user, const Json& benchmark, const Overrides& overrides,
                                       const RunConfig& run) {
  const std::vector<Field> fields = config::make_fields();
  Values asked = config::asked_values(fields, user, overrides);
  const Names names = config::read_names(asked, benchmark);
  const Json& mlperf = member(benchmark, "mlperf", "");
  if (names.variant != member(mlperf, "variant", "/mlperf").get<std::string>()) return {};

  const bool open = run.submission.division == "open";
  const auto least = mlperf.find("smallest_batch");
  if (!open && least != mlperf.end() && run.train.global_batch < least->get<int64_t>())  // much follows from it
    return {fmt::format("/train/global_batch: {}, but the closed rules of {} allow no less than {}",
                        run.train.global_batch, run.workload, least->get<int64_t>())};
  const std::vector<std::string> of_open = {"model.sequence_length", "evaluation.target"};
  const Names claimed{
      .variant = names.variant,
      .form = names.form == config::kCustom ? member(benchmark, "default_form", "").get<std::string>() : names.form};
  const Values free = config::free_values(fields, run, benchmark);
  const Official official{fields, benchmark,
                          config::laid_over(config::default_values(fields, benchmark, claimed), free)};
  const RunConfig plain = config::build(fields, official.values);
  const std::string rules = fmt::format("the {} rules of {}", run.submission.division, run.workload);
  std::vector<std::string> breaches;
  if (!open) {
    for (const auto& more : {exact_breaches(official, run), blend_breaches(mlperf, run)})
      breaches.insert(breaches.end(), more.begin(), more.end());
  }
  for (const Field& field : fields) {
    const bool fixed =
        field.key.starts_with("model.") || field.key.starts_with("train.") || field.key.starts_with("evaluation.");
    if (!fixed || (open && !config::contains(of_open, field.key)) || field.get(run) == field.get(plain)) continue;
    // A lower target is harder, and reaching it reaches the official one.
    if (field.key == "evaluation.target" && run.evaluation.target < plain.evaluation.target) continue;
    breaches.push_back(fmt::format("{}: {}, but {} fix {} ({})", path_of(field.key), field.get(run).dump(), rules,
                                   field.get(plain).dump(), field.meaning));
  }
  return breaches;
}

}  // namespace timetrial
