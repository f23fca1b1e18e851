// Remarks on a log: placeholders, clock steps, cold caches, evaluation schedule, batch arithmetic (rules digest 9, 10).
// SPDX-License-Identifier: Apache-2.0
#include "mllog/remarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "mllog/check_record.h"
#include "mllog/python_value.h"

namespace timetrial::mllog {

namespace {

Finding remark(const Record& record, std::string rule, std::string found, std::string advice) {
  return {Severity::warning, record.key, record.line, std::move(rule), std::move(found), std::move(advice)};
}

const Record* last_of(const std::vector<Record>& records, std::string_view key) {
  const auto found =
      std::find_if(records.rbegin(), records.rend(), [&](const Record& record) { return record.key == key; });
  return found == records.rend() ? nullptr : &*found;
}

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

void placeholders(const std::vector<Record>& records, std::vector<Finding>& out) {
  for (const char* key : {"submission_org", "submission_platform"}) {
    const Record* record = last_of(records, key);
    if (record == nullptr) continue;
    if (record->value.is_string() && !looks_like_placeholder(record->value.get<std::string>())) continue;
    out.push_back(remark(*record, "names who and what ran", excerpt(record->value), "replace the placeholder"));
  }
}

void status(const std::vector<Record>& records, std::vector<Finding>& out) {
  const Record* record = last_of(records, "run_stop");
  if (record == nullptr || !record->metadata.is_object() || !record->metadata.contains("status")) return;
  const Json& value = record->metadata["status"];
  if (value != "success")
    out.push_back(remark(*record, "status is success", excerpt(value),
                         "this run counts as not converged: at most one of a result's runs may be"));
}

void cold_caches(const std::vector<Record>& records, std::vector<Finding>& out) {
  for (const Record& record : records) {
    if (record.key != "cache_clear" || record.value != false) continue;
    out.push_back(remark(record, "caches are cleared before the run", "false", "clear them, or restart the system"));
    return;
  }
}

void clock_steps(const std::vector<Record>& records, std::vector<Finding>& out) {
  int64_t steps = 0;
  double worst = 0;
  const Record* first = nullptr;
  for (size_t i = 1; i < records.size(); ++i) {
    const double back = records[i - 1].time_ms - records[i].time_ms;
    if (!(back > 0)) continue;
    if (first == nullptr) first = &records[i];
    ++steps;
    worst = std::max(worst, back);
  }
  if (first != nullptr)
    out.push_back(remark(
        *first, "time does not go backwards",
        fmt::format("{} records are earlier than the one before, by up to {:.0f} ms; this is the first", steps, worst),
        "log from one rank, and keep the clock from being set during a run"));
}

void schedule(const std::vector<Record>& records, std::optional<double> every, std::vector<Finding>& out) {
  const std::optional<double> batch = positive(last_of(records, "global_batch_size"));
  if (!every || !batch) return;
  const double interval = std::ceil(*every / *batch) * *batch;
  int64_t number = 0;
  double last = 0;
  for (const Record& record : records) {
    if (record.key != "eval_accuracy" || !record.metadata.is_object() || !record.metadata.contains("samples_count"))
      continue;
    const auto samples = number_of(record.metadata["samples_count"]);
    if (!samples) continue;
    ++number;
    const auto at = static_cast<double>(*samples);
    const bool due = at == last + interval || (number == 1 && at == 0);
    if (!due) {
      out.push_back(remark(record, fmt::format("evaluations are {:.0f} samples apart", interval),
                           fmt::format("evaluation {} at {:.0f} samples, the one before at {:.0f}", number, at, last),
                           fmt::format("evaluate every {:.0f} steps", interval / *batch)));
      return;
    }
    last = at;
  }
}

void batch_arithmetic(const std::vector<Record>& records, std::vector<Finding>& out) {
  const Record* record = last_of(records, "global_batch_size");
  const auto batch = positive(record), accumulation = positive(last_of(records, "gradient_accumulation_steps"));
  if (!batch || !accumulation) return;
  const double micro = positive(last_of(records, "micro_batch_size")).value_or(1);
  const double ranks = *batch / (*accumulation * micro);
  if (ranks >= 1 && ranks == std::floor(ranks)) return;
  out.push_back(remark(*record, "is micro batch x accumulation steps x data ranks",
                       fmt::format("{:g} / ({:g} x {:g}) = {:g} data ranks", *batch, micro, *accumulation, ranks),
                       "log the numbers that the run used"));
}

}  // namespace

std::vector<Finding> remarks_on(const std::vector<Record>& records, std::optional<double> evaluate_every_samples) {
  std::vector<Finding> out;
  placeholders(records, out);
  status(records, out);
  cold_caches(records, out);
  clock_steps(records, out);
  schedule(records, evaluate_every_samples, out);
  batch_arithmetic(records, out);
  return out;
}

}  // namespace timetrial::mllog
