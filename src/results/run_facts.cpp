// One pass over the records, then step times from the best source there is.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/run_facts.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "results/json_value.h"
#include "timetrial/mllog/own_keys.h"
#include "timetrial/mllog/reader.h"
#include "timetrial/results/statistics.h"

namespace timetrial::results {

namespace {

using mllog::Record;

std::optional<double> member_number(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) ? number_of(object.at(name)) : std::nullopt;
}

struct NumberField {
  std::string_view key;
  std::optional<double> RunFacts::*field;
};
constexpr NumberField kNumbers[] = {
    {"global_batch_size", &RunFacts::batch},       {"gradient_accumulation_steps", &RunFacts::accumulation},
    {"micro_batch_size", &RunFacts::micro_batch},  {"tensor_parallelism", &RunFacts::tensor},
    {"pipeline_parallelism", &RunFacts::pipeline}, {"context_parallelism", &RunFacts::context},
    {"expert_parallelism", &RunFacts::expert}};

struct TextField {
  std::string_view key;
  std::string RunFacts::*field;
};
constexpr TextField kTexts[] = {{"submission_benchmark", &RunFacts::benchmark},
                                {"submission_division", &RunFacts::division},
                                {"submission_org", &RunFacts::organization},
                                {"submission_platform", &RunFacts::platform},
                                {mllog::kVariantKey, &RunFacts::variant},
                                {mllog::kFormKey, &RunFacts::form},
                                {mllog::kConfigHashKey, &RunFacts::config_hash},
                                {"lowest_numerical_precision_in_linear", &RunFacts::linear_precision},
                                {"lowest_numerical_precision_in_attn", &RunFacts::attention_precision},
                                {"lowest_numerical_precision_in_comm", &RunFacts::communication_precision}};

enum class Event {
  statistics,
  evaluation_start,
  evaluation_stop,
  evaluation,
  seed,
  block_start,
  block_stop,
  init_start,
  init_stop,
  run_start,
  run_stop,
  number,
  text
};

// Every key that says something about a run; all others are never parsed.
const std::unordered_map<std::string_view, Event>& events() {
  static const std::unordered_map<std::string_view, Event> kEvents = [] {
    std::unordered_map<std::string_view, Event> map = {{"tracked_stats", Event::statistics},
                                                       {"eval_start", Event::evaluation_start},
                                                       {"eval_stop", Event::evaluation_stop},
                                                       {"eval_accuracy", Event::evaluation},
                                                       {"seed", Event::seed},
                                                       {"block_start", Event::block_start},
                                                       {"block_stop", Event::block_stop},
                                                       {"init_start", Event::init_start},
                                                       {"init_stop", Event::init_stop},
                                                       {"run_start", Event::run_start},
                                                       {"run_stop", Event::run_stop}};
    for (const NumberField& field : kNumbers) map.emplace(field.key, Event::number);
    for (const TextField& field : kTexts) map.emplace(field.key, Event::text);
    return map;
  }();
  return kEvents;
}

class Collector : public mllog::LogVisitor {
 public:
  mllog::Interest header(const mllog::RecordHeader& header) override {
    const auto found = events().find(header.key);
    if (found == events().end()) return mllog::Interest::skip;
    event_ = found->second;
    return mllog::Interest::take;
  }

  // Otherwise the rules check's matter.
  void bad_line(mllog::BadLine&& line) override {
    if (facts_.seeds.trouble.empty()) facts_.seeds.trouble = fmt::format("line {}: {}", line.line, line.what);
  }

  void record(Record&& record) override {
    switch (event_) {
      case Event::statistics:
        return statistics(record.value);
      case Event::evaluation_start:
        evaluation_start_ = finite(record.time_ms);
        return;
      case Event::evaluation_stop:
        return evaluation_stop(record);
      case Event::evaluation:
        return evaluation(record);
      case Event::seed:
        facts_.seed = number_of(record.value);
        facts_.seeds.records.push_back({record.line, std::move(record.value), std::move(record.metadata)});
        return;
      case Event::block_start:
        return block_start(record);
      case Event::block_stop:
        return block_stop(record);
      case Event::init_start:
        if (!init_start_) init_start_ = finite(record.time_ms);
        return;
      case Event::init_stop:
        facts_.init_ms = difference(init_start_, record);
        return;
      case Event::run_start:
        if (!stopped_) facts_.started_ms = finite(record.time_ms);
        return;
      case Event::run_stop:
        return run_stop(record);
      case Event::number:
        for (const NumberField& field : kNumbers)
          if (record.key == field.key) facts_.*field.field = number_of(record.value);
        return;
      case Event::text:
        for (const TextField& field : kTexts)
          if (record.key == field.key) facts_.*field.field = text_of(record.value);
        return;
    }
  }

  RunFacts finish() {
    if (step_seconds_.empty()) step_seconds_ = std::move(mean_step_seconds_);
    if (!step_seconds_.empty()) {
      facts_.steps = times_of("train_step_time", std::move(step_seconds_));
    } else if (!samples_per_second_.empty() && facts_.batch) {
      for (double& value : samples_per_second_) value = *facts_.batch / value;
      facts_.steps = times_of("throughput", std::move(samples_per_second_));
    } else if (!block_seconds_per_sample_.empty() && facts_.batch) {
      for (double& value : block_seconds_per_sample_) value *= *facts_.batch;
      facts_.steps = times_of("blocks", std::move(block_seconds_per_sample_));
    }
    return std::move(facts_);
  }

 private:
  static std::optional<double> finite(double value) {
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  }

  static std::optional<double> difference(const std::optional<double>& start, const Record& stop) {
    return start && std::isfinite(stop.time_ms) ? std::optional(stop.time_ms - *start) : std::nullopt;
  }

  void evaluation_stop(const Record& record) {
    if (const std::optional<double> spent = difference(evaluation_start_, record)) facts_.evaluation_ms += *spent;
    evaluation_start_.reset();
  }

  static StepTimes times_of(const char* source, std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return {.source = source,
            .count = static_cast<int64_t>(values.size()),
            .mean = mean_of(values),
            .median = quantile_of(values, 0.5),
            .p10 = quantile_of(values, 0.1),
            .p90 = quantile_of(values, 0.9),
            .most = values.back()};
  }

  // Steps before run_start are the warm-up's, on made-up data.
  void statistics(const Json& value) {
    if (!facts_.started_ms) return;
    const std::optional<double> step = member_number(value, "train_step_time");
    // Many logs hold a mean per block besides; only the steps' own records have a loss beside the time.
    const bool own = value.is_object() && (value.contains("reduced_train_loss") || value.contains("train_loss"));
    if (step && *step > 0) (own ? step_seconds_ : mean_step_seconds_).push_back(*step);
    const std::optional<double> rate = member_number(value, "throughput");
    if (rate && *rate > 0) samples_per_second_.push_back(*rate);
  }

  void evaluation(const Record& record) {
    ++facts_.evaluations;
    facts_.loss = number_of(record.value);
    facts_.samples = member_number(record.metadata, "samples_count");
  }

  // Blocks say how many samples came before them, or how many are in them; only the first reading lets one measure.
  void block_start(const Record& record) {
    block_start_ = finite(record.time_ms);
    block_from_ = member_number(record.metadata, "samples_count");
  }

  void block_stop(const Record& record) {
    const std::optional<double> to = member_number(record.metadata, "samples_count");
    const std::optional<double> spent = difference(block_start_, record);
    if (facts_.started_ms && spent && *spent > 0 && to && block_from_ && *to > *block_from_)
      block_seconds_per_sample_.push_back(*spent / 1e3 / (*to - *block_from_));
    block_start_.reset();
  }

  // The first stop ends the run, as the official summariser has it.
  void run_stop(const Record& record) {
    if (stopped_) return;
    stopped_ = true;
    facts_.run_ms = difference(facts_.started_ms, record);
    facts_.status = record.metadata.is_object() && record.metadata.contains("status")
                        ? text_of(record.metadata.at("status"))
                        : std::string();
  }

  RunFacts facts_;
  Event event_ = Event::statistics;  // of the record that header() took
  bool stopped_ = false;
  std::optional<double> init_start_, evaluation_start_, block_start_, block_from_;
  std::vector<double> step_seconds_, mean_step_seconds_, samples_per_second_, block_seconds_per_sample_;
};

}  // namespace

RunFacts read_run_facts(const std::string& path) {
  Collector collector;
  mllog::scan_log(path, collector);
  return collector.finish();
}

Json to_json(const StepTimes& steps) {
  return {{"source", steps.source}, {"count", steps.count}, {"mean_s", steps.mean}, {"median_s", steps.median},
          {"p10_s", steps.p10},     {"p90_s", steps.p90},   {"max_s", steps.most}};
}

Json to_json(const RunFacts& facts) {
  Json object = {{"status", facts.status},
                 {"seed", json_of(facts.seed)},
                 {"run_ms", json_of(facts.run_ms)},
                 {"init_ms", json_of(facts.init_ms)},
                 {"run_start_ms", json_of(facts.started_ms)},
                 {"samples", json_of(facts.samples)},
                 {"loss", json_of(facts.loss)},
                 {"evaluations", facts.evaluations},
                 {"evaluation_ms", facts.evaluation_ms},
                 {"steps", facts.steps ? to_json(*facts.steps) : Json()}};
  if (!facts.variant.empty()) object["variant"] = facts.variant;
  if (!facts.form.empty()) object["form"] = facts.form;
  if (!facts.config_hash.empty()) object["config_hash"] = facts.config_hash;
  return object;
}

}  // namespace timetrial::results
