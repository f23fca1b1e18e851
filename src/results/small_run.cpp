// Reference convergence points of small variants, their interval, and the judgement of a log.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/small_run.h"

#include <fmt/format.h>

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "timetrial/base/error.h"
#include "timetrial/mllog/own_keys.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::embedded {
extern const std::string_view small_run_points_gpt_oss_20b;
}

namespace timetrial::results {

namespace {

constexpr double kOutside = 1e-2;  // share of sound runs that the interval leaves out
constexpr size_t kFewestPoints = 5;

void set_interval(SmallRunPoints& points) {
  const auto n = static_cast<double>(points.samples.size());
  points.mean = std::accumulate(points.samples.begin(), points.samples.end(), 0.0) / n;
  double squares = 0;
  for (const double sample : points.samples) squares += (sample - points.mean) * (sample - points.mean);
  points.deviation = std::sqrt(squares / (n - 1));
  const boost::math::students_t distribution(n - 1);
  const double reach = boost::math::quantile(distribution, 1 - kOutside / 2) * points.deviation * std::sqrt(1 + 1 / n);
  points.lowest = points.mean - reach;
  points.highest = points.mean + reach;
}

// What the judgement needs of a log; the last record of a key counts.
class Facts : public mllog::LogVisitor {
 public:
  mllog::Interest header(const mllog::RecordHeader& header) override {
    for (const std::string_view key :
         {std::string_view("submission_benchmark"), std::string_view("submission_division"), mllog::kVariantKey,
          mllog::kFormKey, std::string_view("timetrial_effective_config"), std::string_view("run_stop"),
          std::string_view("eval_accuracy")})
      if (header.key == key) return mllog::Interest::take;
    return mllog::Interest::skip;
  }
  void record(mllog::Record&& record) override {
    const Json& value = record.key == "run_stop" ? member(record.metadata, "status") : record.value;
    if (record.key == "eval_accuracy") {
      const Json& count = member(record.metadata, "samples_count");
      if (count.is_number()) samples = count.get<double>();
    } else if (record.key == "timetrial_effective_config") {
      config = std::move(record.value);
    } else if (value.is_string()) {
      auto& text = record.key == "submission_benchmark"  ? benchmark
                   : record.key == "submission_division" ? division
                   : record.key == mllog::kVariantKey    ? variant
                   : record.key == mllog::kFormKey       ? form
                                                         : status;
      text = value.get<std::string>();
    }
  }
  void bad_line(mllog::BadLine&&) override {}

  std::string benchmark, division, variant, form, status;
  double samples = 0;
  Json config;

 private:
  static const Json& member(const Json& object, const char* name) {
    static const Json kNothing;
    return object.is_object() && object.contains(name) ? object[name] : kNothing;
  }
};

// The first setting in which a run is not as the reference runs were; empty: none.
std::string difference_of(const Json& config, const Json& settings) {
  for (const auto& [key, expected] : settings.items()) {
    const size_t dot = key.find('.');
    const Json::json_pointer place = Json::json_pointer() / key.substr(0, dot) / key.substr(dot + 1);
    const Json found = config.is_object() && config.contains(place) ? config[place] : Json();
    if (found != expected) return fmt::format("{} is {} in place of {}", key, found.dump(), expected.dump());
  }
  return {};
}

}  // namespace

std::optional<SmallRunPoints> parse_small_run_points(const Json& document, std::string_view variant,
                                                     std::string_view form, const std::string& origin) {
  if (!document.is_object() || document.value("schema", Json()) != "timetrial.convergence/1")
    throw UserError(fmt::format("{}: no document of schema timetrial.convergence/1", origin));
  const Json& sets = document.contains("sets") ? document["sets"] : Json::array();
  for (const Json& set : sets) {
    if (set.value("variant", "") != variant || set.value("form", "") != form) continue;
    SmallRunPoints points{.workload = document.value("workload", ""),
                          .variant = std::string(variant),
                          .form = std::string(form),
                          .source = set.value("source", ""),
                          .settings = set.value("settings", Json()),
                          .samples = {}};
    if (!points.settings.is_object() || points.settings.empty())
      throw UserError(fmt::format("{}: no settings of the reference runs of {}/{}", origin, variant, form));
    for (const Json& point : set.value("points", Json::array())) {
      const Json samples = point.is_object() ? point.value("samples", Json()) : Json();
      if (!samples.is_number() || !(samples.get<double>() > 0))
        throw UserError(fmt::format("{}: {} is no positive count of samples", origin, samples.dump()));
      points.samples.push_back(samples.get<double>());
    }
    if (points.samples.size() < kFewestPoints)
      throw UserError(fmt::format("{}: {} convergence points of {}/{}, at least {} are needed", origin,
                                  points.samples.size(), variant, form, kFewestPoints));
    set_interval(points);
    return points;
  }
  return std::nullopt;
}

std::optional<SmallRunPoints> small_run_points(std::string_view workload, std::string_view variant,
                                               std::string_view form) {
  const std::pair<std::string_view, std::string_view> documents[] = {
      {"gpt_oss_20b", embedded::small_run_points_gpt_oss_20b}};
  for (const auto& [name, text] : documents)
    if (name == workload)
      return parse_small_run_points(Json::parse(text), variant, form, fmt::format("convergence.json of {}", name));
  return std::nullopt;
}

std::optional<SmallRunJudgement> judge_small_run(const std::string& log) {
  Facts facts;
  mllog::scan_log(log, facts);
  if (facts.division == "open") return std::nullopt;  // it may have trained something else
  auto points = small_run_points(facts.benchmark, facts.variant, facts.form);
  if (!points || facts.status.empty()) return std::nullopt;
  if (const std::string difference = difference_of(facts.config, points->settings); !difference.empty())
    return SmallRunJudgement{.verdict = SmallRunVerdict::other_settings,
                             .samples = facts.samples,
                             .points = *points,
                             .difference = difference};
  // Stopped by hand where a sound run may still have been on its way: nothing can be said.
  if (facts.status != "success" && facts.samples <= points->highest) return std::nullopt;
  SmallRunJudgement judgement{.verdict = SmallRunVerdict::missed, .samples = facts.samples, .points = *points};
  if (facts.status == "success")
    judgement.verdict = facts.samples < points->lowest    ? SmallRunVerdict::too_early
                        : facts.samples > points->highest ? SmallRunVerdict::too_late
                                                          : SmallRunVerdict::as_expected;
  return judgement;
}

std::string SmallRunJudgement::sentence() const {
  const std::string expected = fmt::format("{} reference runs say {:.0f} to {:.0f}", points.samples.size(),
                                           std::max(points.lowest, 0.0), points.highest);
  switch (verdict) {
    case SmallRunVerdict::as_expected:
      return fmt::format("converges as expected: {:.0f} samples, {}", samples, expected);
    case SmallRunVerdict::too_early:
      return fmt::format("converges too early: {:.0f} samples, {}; the model, the data or the evaluation changed",
                         samples, expected);
    case SmallRunVerdict::too_late:
      return fmt::format("converges too late: {:.0f} samples, {}; a gradient may be wrong", samples, expected);
    case SmallRunVerdict::missed:
      return fmt::format("never converged ({:.0f} samples), {}", samples, expected);
    case SmallRunVerdict::other_settings:
      return fmt::format("convergence not judged: {}, which the {} reference runs had", difference,
                         points.samples.size());
  }
  throw Error("unknown verdict");
}

Json SmallRunJudgement::to_json() const {
  constexpr const char* kNames[] = {"as_expected", "too_early", "too_late", "missed", "other_settings"};
  return {{"verdict", kNames[static_cast<int>(verdict)]},
          {"samples", samples},
          {"difference", difference.empty() ? Json(nullptr) : Json(difference)},
          {"expected_lowest", points.lowest},
          {"expected_highest", points.highest},
          {"reference_runs", points.samples.size()},
          {"reference_mean", points.mean}};
}

}  // namespace timetrial::results
