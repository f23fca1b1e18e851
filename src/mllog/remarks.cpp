// Remarks on single records and on the clock: placeholders, status, cold caches, intervals, batch (rules digest 9, 10).
// SPDX-License-Identifier: Apache-2.0
#include "mllog/remarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "mllog/check_record.h"
#include "mllog/python_value.h"
#include "timetrial/mllog/own_keys.h"

namespace timetrial::mllog {

namespace {

constexpr std::string_view kLastWanted[] = {
    "submission_org",    "submission_platform",         "submission_benchmark", "submission_division", "run_stop",
    "global_batch_size", "gradient_accumulation_steps", "micro_batch_size",     "init_stop",           kSeedDrawnKey};

std::optional<double> positive(const Record* record) {
  if (record == nullptr) return std::nullopt;
  const auto number = number_of(record->value);
  if (!number || !(*number > 0) || !std::isfinite(*number)) return std::nullopt;
  return static_cast<double>(*number);
}

bool looks_like_placeholder(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kWords[] = {"todo", "tbd", "xxx", "none", "unknown", "changeme", "n/a"};
  return text.find("placeholder") != std::string::npos || text.rfind("your_", 0) == 0 || text.rfind('<', 0) == 0 ||
         std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords);
}

}  // namespace

Finding remark(const std::string& key, int64_t line, std::string rule, std::string found, std::string advice) {
  return {Severity::warning, key, line, std::move(rule), std::move(found), std::move(advice)};
}

bool RemarkCollector::wants(std::string_view key) {
  return key == "eval_accuracy" || key == "cache_clear" ||
         std::find(std::begin(kLastWanted), std::end(kLastWanted), key) != std::end(kLastWanted);
}

void RemarkCollector::see(const RecordHeader& header) {
  if (time_before_ && *time_before_ - header.time_ms > 0) {
    if (steps_back_++ == 0) {
      first_step_line_ = header.line;
      first_step_key_ = header.key;
    }
    worst_step_ms_ = std::max(worst_step_ms_, *time_before_ - header.time_ms);
  }
  time_before_ = header.time_ms;
  const size_t underscore = header.key.rfind("_st");
  if (underscore == std::string_view::npos) return;
  if (header.key == "init_start")
    first_init_start_ = std::min(first_init_start_.value_or(header.time_ms), header.time_ms);
  for (Interval& interval : intervals_) {
    if (header.key == interval.start) {
      if (interval.open++ > 0 && ++interval.starts_while_open + interval.stops_while_closed == 1)
        interval.first_line = header.line;
    } else if (header.key == interval.stop) {
      if (interval.open == 0 && ++interval.stops_while_closed + interval.starts_while_open == 1)
        interval.first_line = header.line;
      interval.open = std::max<int64_t>(0, interval.open - 1);
    }
  }
}

void RemarkCollector::add(const Record& record) {
  if (record.key == "cache_clear") {
    if (!cold_cache_ && record.value == false) cold_cache_ = record;
  } else if (record.key == "eval_accuracy") {
    too_many_evaluations_ = too_many_evaluations_ || evaluations_.size() == kMostEvaluations;
    if (too_many_evaluations_) return;
    const bool counted = record.metadata.is_object() && record.metadata.contains("samples_count");
    const auto samples = counted ? number_of(record.metadata["samples_count"]) : std::nullopt;
    evaluations_.push_back({record.line, static_cast<double>(samples.value_or(NAN)),
                            static_cast<double>(number_of(record.value).value_or(NAN))});
  } else {
    last_[record.key] = record;
  }
}

const Record* RemarkCollector::last_of(std::string_view key) const {
  const auto found = last_.find(key);
  return found == last_.end() ? nullptr : &found->second;
}

void RemarkCollector::placeholders(std::vector<Finding>& out) const {
  for (const char* key : {"submission_org", "submission_platform"}) {
    const Record* record = last_of(key);
    if (record == nullptr) continue;
    if (record->value.is_string() && !looks_like_placeholder(record->value.get<std::string>())) continue;
    out.push_back(
        remark(key, record->line, "names who and what ran", excerpt(record->value), "replace the placeholder"));
  }
}

void RemarkCollector::status(std::vector<Finding>& out) const {
  const Record* record = last_of("run_stop");
  if (record == nullptr || !record->metadata.is_object() || !record->metadata.contains("status")) return;
  const Json& value = record->metadata["status"];
  if (value != "success")
    out.push_back(remark("run_stop", record->line, "status is success", excerpt(value),
                         "this run counts as not converged: at most one of a result's runs may be"));
}

void RemarkCollector::clock_steps(std::vector<Finding>& out) const {
  // Lines of several ranks cross each other by less.
  constexpr double kWorthSayingMs = 100;
  if (!(worst_step_ms_ >= kWorthSayingMs)) return;
  out.push_back(remark(first_step_key_, first_step_line_, "time does not go backwards",
                       fmt::format("{} records are earlier than the one before, by up to {:.0f} ms; this is the first",
                                   steps_back_, worst_step_ms_),
                       "log from one rank, and keep the clock from being set during a run"));
}

void RemarkCollector::intervals(std::vector<Finding>& out) const {
  for (const Interval& interval : intervals_) {
    if (interval.starts_while_open + interval.stops_while_closed == 0) continue;
    out.push_back(remark(std::string(interval.start), interval.first_line,
                         fmt::format("{} and {} take turns", interval.start, interval.stop),
                         fmt::format("{} starts inside an open interval, {} stops outside one; this is the first",
                                     interval.starts_while_open, interval.stops_while_closed),
                         "log intervals from one rank only"));
  }
}

// Closed division 30 minutes, open 240 (rules digest 2.2); over the limit is the checker's to say.
void RemarkCollector::initialisation(std::vector<Finding>& out) const {
  constexpr double kNear = 0.9;
  const Record* stop = last_of("init_stop");
  const Record* division = last_of("submission_division");
  if (stop == nullptr || !first_init_start_ || division == nullptr) return;
  const double limit_s = division->value == "open" ? 240 * 60 : 30 * 60;
  const double taken_s = (stop->time_ms - *first_init_start_) / 1e3;
  if (taken_s > kNear * limit_s && taken_s < limit_s)
    out.push_back(remark("init_stop", stop->line, fmt::format("the untimed part stays well below {:.0f} s", limit_s),
                         fmt::format("{:.0f} s, {:.0f} % of the limit", taken_s, 100 * taken_s / limit_s),
                         "a slower start of the same job breaks the limit: shorten it, or start the clock earlier"));
}

void RemarkCollector::batch_arithmetic(std::vector<Finding>& out) const {
  const Record* record = last_of("global_batch_size");
  const auto batch = positive(record), accumulation = positive(last_of("gradient_accumulation_steps"));
  if (!batch || !accumulation) return;
  const double micro = positive(last_of("micro_batch_size")).value_or(1);
  const double ranks = *batch / (*accumulation * micro);
  if (ranks >= 1 && ranks == std::floor(ranks)) return;
  out.push_back(remark("global_batch_size", record->line, "is micro batch x accumulation steps x data ranks",
                       fmt::format("{:g} / ({:g} x {:g}) = {:g} data ranks", *batch, micro, *accumulation, ranks),
                       "log the numbers that the run used"));
}

// Rules digest 6: seeded from the clock, the system or a generator that is.
void RemarkCollector::seed(const RemarkContext& context, std::vector<Finding>& out) const {
  const Record* drawn = last_of(kSeedDrawnKey);
  const Record* division = last_of("submission_division");
  if (context.small_variant || drawn == nullptr || drawn->value != false || division == nullptr ||
      division->value != "closed")
    return;
  out.push_back(remark("seed", drawn->line, "is drawn from the clock or the operating system",
                       "a seed that the user gave",
                       "set train.seed to 0, and every run draws its own; the closed division knows no chosen seeds"));
}

std::vector<Finding> RemarkCollector::finish(const RemarkContext& context) const {
  std::vector<Finding> out;
  placeholders(out);
  status(out);
  if (cold_cache_)
    out.push_back(remark("cache_clear", cold_cache_->line, "caches are cleared before the run", "false",
                         "clear them, or restart the system"));
  seed(context, out);
  clock_steps(out);
  intervals(out);
  initialisation(out);
  batch_arithmetic(out);
  const auto append = [&](const std::vector<Finding>& more) { out.insert(out.end(), more.begin(), more.end()); };
  if (!too_many_evaluations_) append(evaluation_remarks(evaluations_, positive(last_of("global_batch_size")), context));
  // A placeholder is named already.
  const bool has_name =
      std::none_of(out.begin(), out.end(), [](const Finding& f) { return f.key == "submission_org"; });
  append(folder_remarks(context.path, has_name ? last_of("submission_org") : nullptr, last_of("submission_benchmark")));
  return out;
}

}  // namespace timetrial::mllog
