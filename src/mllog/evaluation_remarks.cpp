// Remarks on when a run evaluated (rules digest 6) and when it should have stopped.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mllog/check_record.h"
#include "mllog/remarks.h"

namespace timetrial::mllog {

namespace {

// The samples between evaluations, and before the first.
struct Schedule {
  double interval = 0, first = 0;
  int64_t skipped = 0;
};

std::optional<Schedule> schedule_of(const RemarkContext& context, std::optional<double> batch) {
  if (context.small_variant || !batch) return std::nullopt;
  for (const RuleFile* file : context.applied) {
    if (!file->evaluate_every_samples) continue;
    Schedule schedule;
    schedule.interval = std::ceil(*file->evaluate_every_samples / *batch) * *batch;
    if (file->skip_evaluations) {
      const auto skipped = file->skip_evaluations->evaluate([&](const std::string&) {
        return std::optional(Number{*batch, false});
      });
      constexpr long double kMostSkipped = 1e6L;  // more says that the batch size is nonsense
      if (!skipped || skipped->value > kMostSkipped) return std::nullopt;
      schedule.skipped = static_cast<int64_t>(skipped->value);
    }
    schedule.first = schedule.interval * static_cast<double>(schedule.skipped + 1);
    return schedule;
  }
  return std::nullopt;
}

void off_schedule(const std::vector<Evaluation>& evaluations, const Schedule& schedule, double batch,
                  std::vector<Finding>& out) {
  double last = 0;
  int64_t number = 0;
  for (const Evaluation& evaluation : evaluations) {
    // Several ranks may log the same evaluation.
    if (std::isnan(evaluation.samples) || (number > 0 && evaluation.samples == last)) continue;
    // An evaluation before any training is everybody's own affair.
    if (++number == 1 && evaluation.samples == 0) {
      number = 0;
      continue;
    }
    if (number == 1 && evaluation.samples != schedule.first) {
      out.push_back(remark("eval_accuracy", evaluation.line,
                           schedule.skipped > 0
                               ? fmt::format("the first {} evaluations of {:.0f} samples each are left out",
                                             schedule.skipped, schedule.interval)
                               : fmt::format("the first evaluation is after {:.0f} samples", schedule.first),
                           fmt::format("the first at {:.0f} samples, not {:.0f}", evaluation.samples, schedule.first),
                           fmt::format("evaluate first after {:.0f} steps", schedule.first / batch)));
      return;
    }
    if (number > 1 && evaluation.samples != last + schedule.interval) {
      out.push_back(remark(
          "eval_accuracy", evaluation.line, fmt::format("evaluations are {:.0f} samples apart", schedule.interval),
          fmt::format("evaluation {} at {:.0f} samples, the one before at {:.0f}", number, evaluation.samples, last),
          fmt::format("evaluate every {:.0f} steps", schedule.interval / batch)));
      return;
    }
    last = evaluation.samples;
  }
}

bool meets(const std::vector<Check>& target, const Evaluation& evaluation) {
  Record record;
  record.value = evaluation.value;
  return std::none_of(target.begin(), target.end(),
                      [&](const Check& check) { return check_record(check, record, WalkState{}).has_value(); });
}

void trained_on(const std::vector<Evaluation>& evaluations, const RemarkContext& context, std::vector<Finding>& out) {
  if (context.small_variant) return;
  for (const RuleFile* file : context.applied)
    for (const KeyRule& rule : file->keys) {
      const bool has_target = std::any_of(rule.some_record.begin(), rule.some_record.end(),
                                          [](const Check& check) { return check.target; });
      if (!has_target || rule.key != "eval_accuracy") continue;
      const auto first = std::find_if(evaluations.begin(), evaluations.end(), [&](const Evaluation& evaluation) {
        return meets(rule.some_record, evaluation);
      });
      if (first == evaluations.end() || first + 1 == evaluations.end()) return;
      // Several records of one evaluation are no training on.
      const Evaluation& last = evaluations.back();
      if (!(last.samples > first->samples) && !std::isnan(last.samples)) return;
      out.push_back(
          remark("eval_accuracy", first->line, "the run stops at the first evaluation that meets the target",
                 fmt::format("{} met it, and {} evaluations follow", first->value, evaluations.end() - first - 1),
                 "log run_stop as soon as any part of the system knows that the target is met"));
      return;
    }
}

}  // namespace

std::vector<Finding> evaluation_remarks(const std::vector<Evaluation>& evaluations, std::optional<double> batch,
                                        const RemarkContext& context) {
  std::vector<Finding> out;
  if (const auto schedule = schedule_of(context, batch)) off_schedule(evaluations, *schedule, *batch, out);
  trained_on(evaluations, context, out);
  return out;
}

}  // namespace timetrial::mllog
