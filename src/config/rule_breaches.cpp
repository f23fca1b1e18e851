// The referee at the gate: what keeps a run from being the benchmark that it claims to be.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>

#include "benchmark_rules.h"
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
    return config::build(fields, changed, config::Unfit::leave_out);
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
  const std::string rules = fmt::format("the closed rules of {} train on {}", run.workload,
                                        files == 1 ? "1 file" : fmt::format("{} files in equal shares", files));
  std::vector<std::string> different = run.data.train;
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  std::vector<std::string> breaches;
  if (run.data.train.size() != files || different.size() != files)
    breaches.push_back(fmt::format("/data/train: {}, but {}; {}", Json(run.data.train).dump(), rules,
                                   files == 1 ? "name that one" : "name each file once"));
  for (const double weight : run.data.train_weights)
    if (weight != run.data.train_weights.front()) {
      breaches.push_back(fmt::format("/data/train_weights: {}, but {}; leave the weights out",
                                     Json(run.data.train_weights).dump(), rules));
      break;
    }
  return breaches;
}

// Where the weights come from when the run starts (spec 7). A run that ended is not continued here: optimizer and step
// count are in no checkpoint, so each run is whole.
std::vector<std::string> start_breaches(const Json& mlperf, const RunConfig& run) {
  const auto from = member(mlperf, "starts_from", "/mlperf").get<std::string>();
  TIMETRIAL_CHECK(from == "seed" || from == "checkpoint", "/mlperf/starts_from is {}", from);
  if (run.data.checkpoint.empty() == (from == "seed")) return {};
  const std::string rules = fmt::format("the closed rules of {}", run.workload);
  if (from == "seed")
    return {fmt::format("/data/checkpoint: {}, but {} start from weights that the seed draws; leave it out",
                        Json(run.data.checkpoint).dump(), rules)};
  return {
      fmt::format("/data/checkpoint: \"\", but {} start from given weights; give their folder, --set "
                  "data.checkpoint=DIR",
                  rules)};
}

// A batch of fewer sequences breaks much that follows from it.
std::vector<std::string> batch_breaches(const Json& mlperf, const RunConfig& run) {
  const auto least = mlperf.find("smallest_batch");
  if (least == mlperf.end() || run.train.global_batch >= least->get<int64_t>()) return {};
  return {fmt::format("/train/global_batch: {}, but the {} rules of {} allow no less than {}", run.train.global_batch,
                      run.submission.division, run.workload, least->get<int64_t>())};
}

// Some readings of a model are no benchmark run at all (spec 18.1).
std::vector<std::string> form_breaches(const Json& mlperf, const RunConfig& run, const Names& names) {
  const auto forms = member(mlperf, "forms", "/mlperf").get<std::vector<std::string>>();
  if (names.form == config::kCustom || config::contains(forms, names.form)) return {};
  return {fmt::format("/form: {} is not what the closed rules of {} train; take {}", Json(names.form).dump(),
                      run.workload, fmt::join(forms, " or "))};
}

std::vector<double> different(const std::vector<double>& values) {
  std::vector<double> kept;
  for (const double value : values)
    if (!config::is_among(value, kept)) kept.push_back(value);
  return kept;
}

}  // namespace

std::vector<std::string> rule_breaches(const Json& user, const Json& benchmark, const Overrides& overrides,
                                       const RunConfig& run) {
  const std::vector<Field> fields = config::make_fields();
  Values asked = config::asked_values(fields, user, overrides);
  const Names names = config::read_names(asked, benchmark);
  const Json& mlperf = member(benchmark, "mlperf", "");
  if (names.variant != config::full_variant(benchmark)) return {};

  const bool open = config::is_open(run);
  for (const auto& first :
       {open ? std::vector<std::string>{} : form_breaches(mlperf, run, names),
        open && !config::is_fixed("train.global_batch", benchmark, run) ? std::vector<std::string>{}
                                                                        : batch_breaches(mlperf, run)})
    if (!first.empty()) return first;
  const Names claimed{
      .variant = names.variant,
      .form = names.form == config::kCustom ? member(benchmark, "default_form", "").get<std::string>() : names.form};
  const Values free = config::free_values(fields, run, benchmark, names);
  const Official official{fields, benchmark,
                          config::laid_over(config::default_values(fields, benchmark, claimed), free)};
  const RunConfig plain = config::build(fields, official.values, config::Unfit::leave_out);
  const std::string rules = fmt::format("the {} rules of {}", run.submission.division, run.workload);
  std::vector<std::string> breaches;
  if (!open) {
    for (const auto& more : {exact_breaches(official, run), blend_breaches(mlperf, run), start_breaches(mlperf, run)})
      breaches.insert(breaches.end(), more.begin(), more.end());
  }
  for (const Field& field : fields) {
    if (!config::is_fixed(field.key, benchmark, run) || field.get(run) == field.get(plain)) continue;
    // A lower target is harder, and reaching it reaches the official one.
    if (field.key == "evaluation.target" && run.evaluation.target < plain.evaluation.target) continue;
    const auto allowed = config::allowed_values(fields, plain, benchmark, field.key);
    const std::string wanted = allowed ? fmt::format("allow {}", fmt::join(different(*allowed), " or "))
                                       : fmt::format("fix {}", field.get(plain).dump());
    breaches.push_back(
        fmt::format("{}: {}, but {} {} ({})", path_of(field.key), field.get(run).dump(), rules, wanted, field.meaning));
  }
  return breaches;
}

}  // namespace timetrial
