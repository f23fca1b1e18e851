// Chooses the reference point, makes the comparison, and says it in words.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/convergence.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/results/statistics.h"

namespace timetrial::results {

namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

// A number as Python prints it, which is how it stands in the official checker's messages and file.
std::string python_text(const Json& number) {
  if (number.is_boolean()) return number.get<bool>() ? "True" : "False";
  if (!number.is_number_float()) return number.dump();
  std::string text = fmt::format("{}", number.get<double>());
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

struct Unusable {
  std::string why;
};

// As Python compares: numbers by value whatever their type, truth values as 0 and 1.
bool same(const Json& a, const Json& b) {
  const auto number = [](const Json& value) { return value.is_boolean() ? Json(value.get<bool>() ? 1 : 0) : value; };
  return number(a) == number(b);
}

// The value that all logs agree on. A log without one may stand only before the first that has one, as the official
// reader has it; its order of files is the folder's, ours that of their names.
std::optional<Json> common(const std::vector<ConvergenceReading>& readings, const std::vector<std::string>& names,
                           std::optional<Json> ConvergenceReading::*field, const char* key) {
  std::optional<Json> value;
  for (size_t i = 0; i < readings.size(); ++i) {
    const std::optional<Json>& own = readings[i].*field;
    if (!value) {
      value = own;
    } else if (!own) {
      throw Unusable{fmt::format("{} names no {}, the logs before it do", names[i], key)};
    } else if (!same(*own, *value)) {
      throw Unusable{
          fmt::format("{} has {} {}, the logs before it have {}", names[i], key, own->dump(), value->dump())};
    }
  }
  return value;
}

struct Comparison {
  const ReferencePoints& reference;
  ReferencePoint point;
};

void compare(ConvergenceVerdict& verdict, const Comparison& with, const std::vector<double>& reached) {
  const ReferencePoint& point = with.point;
  verdict.point = point;
  verdict.unit = with.reference.unit;
  verdict.submission_mean = olympic_mean(reached).value_or(kNotANumber);
  // Two divisions, as the official checker makes them, so that the border falls on the same double.
  const double most_speedup = point.mean / (point.minimum - with.reference.allowance);
  verdict.limit = point.mean / most_speedup;
  verdict.passed = verdict.submission_mean >= verdict.limit;
  const double factor = point.mean / verdict.submission_mean;
  verdict.factor = factor < 1 ? 1 : factor;
  verdict.scaled = verdict.passed && verdict.submission_mean < point.mean;
}

std::string comparison_in_words(const ConvergenceVerdict& verdict, double allowance) {
  const ReferencePoint& point = *verdict.point;
  const std::string given =
      allowance > 0 ? fmt::format(" (the benchmark's allowance of {:g} taken off)", allowance) : "";
  if (std::isnan(verdict.submission_mean))
    return fmt::format("at least three runs are needed: one fastest and one slowest are dropped, and none is left");
  const std::string means =
      fmt::format("the runs reached the target after {:.10g} {} on average, the reference after {:.10g}",
                  verdict.submission_mean, verdict.unit, point.mean);
  if (!verdict.passed)
    return fmt::format(
        "{}, and below {:.10g}{} chance no longer explains the difference (one-sided t-test, level 0.05)", means,
        verdict.limit, given);
  if (verdict.scaled)
    return fmt::format("{}: faster, but not below {:.10g}{}, so the score is multiplied by {:.6f}", means,
                       verdict.limit, given, verdict.factor);
  return fmt::format("{}: no faster, so the score stays as it is", means);
}

void choose(ConvergenceVerdict& verdict, const ReferencePoints& reference, const std::vector<double>& reached,
            const std::string& batch_text) {
  std::vector<const ReferencePoint*> kept;
  for (const ReferencePoint& point : reference.points)
    if (!point.pruned) kept.push_back(&point);
  const double batch = verdict.batch;
  const auto above = std::find_if(kept.begin(), kept.end(), [&](const auto* point) { return point->batch >= batch; });
  const std::string missing = fmt::format("Missing RCP, please submit RCP with BS = {}", batch_text);
  if (above != kept.end() && (*above)->batch == batch) {
    verdict.which = ConvergenceCase::found;
    compare(verdict, {reference, **above}, reached);
    verdict.message = "RCP found";
    verdict.explanation = fmt::format("batch size {} has a reference point: {}", batch_text,
                                      comparison_in_words(verdict, reference.allowance));
  } else if (above == kept.end()) {
    verdict.which = ConvergenceCase::above;
    verdict.message = missing;
    verdict.explanation = fmt::format(
        "batch size {} is above every reference point (up to {:g}): the rules ask for reference runs at that "
        "size, submitted by whoever wants to use it",
        batch_text, kept.back()->batch);
  } else if (above == kept.begin()) {
    verdict.which = ConvergenceCase::below;
    compare(verdict, {reference, *kept.front()}, reached);
    verdict.message = verdict.passed ? "RCP not found but slower convergence on smaller batch size" : missing;
    verdict.explanation =
        fmt::format("batch size {} is below every reference point, so it is held against the smallest, {:g}: {}{}",
                    batch_text, kept.front()->batch, comparison_in_words(verdict, reference.allowance),
                    verdict.passed ? "" : "; reference runs at that size are needed");
  } else {
    const ReferencePoint &low = **(above - 1), &high = **above;
    verdict.which = ConvergenceCase::interpolated;
    compare(verdict, {reference, interpolate(low, high, batch, reference.runs_required)}, reached);
    verdict.message = "RCP Interpolation";
    verdict.explanation = fmt::format(
        "batch size {} lies between the reference points {:g} and {:g}, so the reference is interpolated: {}",
        batch_text, low.batch, high.batch, comparison_in_words(verdict, reference.allowance));
  }
}

void bypass(ConvergenceVerdict& verdict) {
  verdict.passed = verdict.bypassed = true;
  verdict.message += " passed using rcp_bypass";
  verdict.explanation += "; accepted only by the bypass (rcp-bypass), which the review committee will ask about";
}

void judge(ConvergenceVerdict& verdict, const std::vector<ConvergenceReading>& readings,
           const std::vector<std::string>& names, const ConvergenceOptions& options) {
  for (size_t i = 0; i < readings.size(); ++i)
    if (!readings[i].trouble.empty())
      throw Unusable{fmt::format("{}:{}: {}", names[i], readings[i].trouble_line, readings[i].trouble)};
  const std::optional<Json> batch = common(readings, names, &ConvergenceReading::batch, "global_batch_size");
  const std::optional<Json> benchmark = common(readings, names, &ConvergenceReading::benchmark, "submission_benchmark");
  if (!benchmark) throw Unusable{"no log names its submission_benchmark"};
  if (!benchmark->is_string()) throw Unusable{fmt::format("submission_benchmark is {}", benchmark->dump())};
  const auto name = benchmark->get<std::string>();
  const std::optional<ReferencePoints> reference = reference_points(options.ruleset, name);
  if (!reference)
    throw Unusable{fmt::format("ruleset {} has no reference points for '{}'; it has them for {}", options.ruleset, name,
                               fmt::join(reference_benchmarks(options.ruleset), ", "))};
  if (!batch) {
    verdict.which = ConvergenceCase::no_batch;
    verdict.message = "Could not detect global_batch_size";
    verdict.explanation = "no log says global_batch_size, so there is nothing to compare with";
    return;
  }
  std::vector<double> reached;
  std::vector<std::string> missed;
  for (size_t i = 0; i < readings.size(); ++i) {
    reached.push_back(readings[i].reached);
    if (!readings[i].converged) missed.push_back(names[i]);
  }
  if (missed.size() > 1) {
    verdict.which = ConvergenceCase::unconverged;
    verdict.message = "Insufficient convergence";
    verdict.explanation =
        fmt::format("{} runs did not reach the target ({}); one may, as the slowest, which is dropped", missed.size(),
                    fmt::join(missed, ", "));
    return;
  }
  if (!batch->is_number() && !batch->is_boolean())
    throw Unusable{fmt::format("global_batch_size is no number: {}", batch->dump())};
  verdict.batch = batch->is_boolean() ? (batch->get<bool>() ? 1 : 0) : batch->get<double>();
  choose(verdict, *reference, reached, python_text(*batch));
  if (options.bypass && !verdict.passed) bypass(verdict);
}

}  // namespace

ConvergenceVerdict judge_convergence(const std::vector<ConvergenceReading>& readings,
                                     const std::vector<std::string>& names, const ConvergenceOptions& options) {
  TIMETRIAL_CHECK(readings.size() == names.size(), "{} readings, {} names", readings.size(), names.size());
  ConvergenceVerdict verdict;
  try {
    judge(verdict, readings, names, options);
  } catch (const Unusable& unusable) {
    verdict.which = ConvergenceCase::unusable;
    verdict.explanation = fmt::format("cannot be made: {}", unusable.why);
  }
  return verdict;
}

std::optional<std::string> scaling_file_text(const ConvergenceVerdict& verdict) {
  if (!verdict.scaled) return std::nullopt;
  return fmt::format("{{\"scaling_factor\": {}}}", python_text(verdict.factor));
}

}  // namespace timetrial::results
