// From a finished run to its last line.
// SPDX-License-Identifier: Apache-2.0
#include "apps/outcome.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/exit_code.h"
#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/own_keys.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::apps {

namespace {

std::string sentence(const RunConfig& config, const RunResult& result) {
  const std::string target = fmt::format("target {:.2f}", config.evaluation.target);
  switch (result.outcome) {
    case Outcome::target_reached:
      return fmt::format("{} reached: eval loss {:.4f} after {} samples, time to train {:.2f} min", target,
                         result.evaluation_loss, result.samples, result.seconds / 60);
    case Outcome::step_limit:
      return fmt::format(
          "{} not reached within the step limit: eval loss {:.4f} after {} samples ({} steps, {:.2f} min)", target,
          result.evaluation_loss, result.samples, result.steps, result.seconds / 60);
    case Outcome::interrupted:
      return fmt::format("interrupted after {} samples ({} steps); the log is closed as aborted", result.samples,
                         result.steps);
    case Outcome::diverged:
      return fmt::format(
          "diverged: loss or gradient norm is not finite after {} steps; try a smaller train.learning_rate",
          result.steps);
  }
  throw Error("unknown outcome");
}

// The losses that training adds to the main one, where the model has them.
std::string added_losses(const StepReport& last) {
  std::string text;
  if (last.multi_token_loss) text += fmt::format(", multi-token loss {:.4f}", *last.multi_token_loss);
  if (last.aux_loss) text += fmt::format(", auxiliary loss {:.4f}", *last.aux_loss);
  return text.empty() ? text : fmt::format("; last step: loss {:.4f}{}", last.loss, text);
}

Json or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::target_reached:
      return "target_reached";
    case Outcome::step_limit:
      return "step_limit";
    case Outcome::interrupted:
      return "interrupted";
    case Outcome::diverged:
      return "diverged";
  }
  throw Error("unknown outcome");
}

// Seconds between run start and run stop that no named part of the run took.
double rest_of(const RunResult& result) {
  const TimeSplit& split = result.split;
  return result.seconds - split.data - split.step - split.evaluation - split.log - split.progress;
}

}  // namespace

Verdict judge(const std::string& log, bool benchmark) {
  if (!benchmark) {
    TIMETRIAL_CHECK(mllog::read_log(log).bad_lines.empty(), "{} holds lines that are no records", log);
    return {.passed = true, .scaled = 0, .text = "rules: none, this is no benchmark"};
  }
  const mllog::CheckReport report = mllog::check_log(log, {});
  std::string text = report.passed() ? "rules: pass"
                                     : fmt::format("rules: fail, {} broken, see timetrial check", report.errors.size());
  if (!report.scaled.empty()) text += fmt::format(", {} scaled", report.scaled.size());
  if (report.small_variant) text += fmt::format(", {}", mllog::kNoResult);
  return {.passed = report.passed(), .scaled = report.scaled.size(), .text = text};
}

std::string outcome_text(const RunConfig& config, const RunResult& result, const Verdict& verdict,
                         const std::string& log) {
  return fmt::format("{}/{}  {}{}  ({})  log: {}", config.workload, config.variant, sentence(config, result),
                     added_losses(result.last_step), verdict.text, log);
}

double tokens_per_second(const RunConfig& config, const RunResult& result) {
  const double seconds = result.seconds - result.split.evaluation;
  return seconds > 0 ? static_cast<double>(result.samples * config.model.sequence_length) / seconds : 0;
}

std::string time_per_step(const RunResult& result) {
  const TimeSplit& split = result.split;
  const auto per_step = [&](double seconds) {
    return 1e6 * seconds / static_cast<double>(std::max<int64_t>(result.steps, 1));
  };
  return fmt::format(
      "time per step without a model: {:.1f} us = data {:.1f} + staging, optimizer and loss {:.1f} + log {:.1f} + "
      "progress "
      "{:.1f} + loop and schedule {:.1f}; evaluation: {:.1f} us per step",
      per_step(result.seconds - split.evaluation), per_step(split.data), per_step(split.step), per_step(split.log),
      per_step(split.progress), per_step(rest_of(result)), per_step(split.evaluation));
}

Json outcome_json(const RunConfig& config, const RunResult& result, const Verdict& verdict, const std::string& log) {
  return {{"schema", "timetrial.run/1"},
          {"workload", config.workload},
          {"variant", config.variant},
          {"form", config.form},
          {"outcome", name_of(result.outcome)},
          {"target", config.evaluation.target},
          {"evaluation_loss", or_null(result.evaluation_loss)},
          {"train_loss", result.last_step.step > 0 ? or_null(result.last_step.loss) : Json(nullptr)},
          {"multi_token_loss", or_null(result.last_step.multi_token_loss)},
          {"aux_loss", or_null(result.last_step.aux_loss)},
          {"steps", result.steps},
          {"samples", result.samples},
          {"seconds", result.seconds},
          {"seed", config.train.seed},
          {"config_hash", config_hash(config)},
          {"seconds_by_part",
           {{"data", result.split.data},
            {"step", result.split.step},
            {"evaluation", result.split.evaluation},
            {"log", result.split.log},
            {"progress", result.split.progress},
            {"rest", rest_of(result)}}},
          {"rules_passed", verdict.passed},
          {"rules_scaled", verdict.scaled},
          {"log", log}};
}

int exit_code_of(const RunResult& result, bool rules_hold) {
  switch (result.outcome) {
    case Outcome::target_reached:
      return rules_hold ? kSuccess : kFailedCheck;
    case Outcome::step_limit:
    case Outcome::diverged:
      return kFailedCheck;
    case Outcome::interrupted:
      return 128 + result.signal;
  }
  throw Error("unknown outcome");
}

}  // namespace timetrial::apps
