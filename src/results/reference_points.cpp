// Reads the embedded points, computes what each allows, and prunes.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/reference_points.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/results/statistics.h"

namespace timetrial::embedded {
extern const std::string_view reference_points_5_1_0, reference_points_6_0_0;
}

namespace timetrial::results {

namespace {

constexpr std::string_view kSchema = "timetrial.reference_points/1";

// One evaluation of the schedule that round 5.0 had; every later ruleset still grants it (rules digest 3.2).
constexpr std::string_view kAllowedBenchmark = "llama31_405b";
constexpr double kAllowance = 46080;

const Json& document_of(std::string_view ruleset) {
  static const Json kDocuments[] = {parse_json(embedded::reference_points_5_1_0, "reference points 5.1.0"),
                                    parse_json(embedded::reference_points_6_0_0, "reference points 6.0.0")};
  for (const Json& document : kDocuments)
    if (document.at("ruleset") == ruleset) return document;
  throw UserError(fmt::format("no reference convergence points for ruleset '{}'; there are {}", ruleset,
                              fmt::join(rulesets(), " and ")));
}

// On one line, whatever is in it.
std::string shown(const Json& value) { return value.dump(-1, ' ', true); }

double positive(const Json& value, const std::string& what) {
  if (!value.is_number() || !(value.get<double>() >= 1e-9) || value.get<double>() > 1e15)
    throw UserError(fmt::format("{} must be a number from 1e-9 to 1e15, not {}", what, shown(value)));
  return value.get<double>();
}

const Json& field(const Json& object, const char* name, const std::string& origin) {
  if (!object.is_object() || !object.contains(name))
    throw UserError(fmt::format("{}: \"{}\" is missing", origin, name));
  return object.at(name);
}

std::string text(const Json& object, const char* name, const std::string& origin) {
  const Json& value = field(object, name, origin);
  if (!value.is_string()) throw UserError(fmt::format("{}: \"{}\" must be a text", origin, name));
  return value.get<std::string>();
}

ReferencePoint point_of(const Json& entry, int runs_required, const std::string& origin) {
  ReferencePoint point;
  point.name = text(entry, "name", origin);
  point.source = text(entry, "source", origin);
  point.batch = positive(field(entry, "batch", origin), fmt::format("{}: batch of {}", origin, shown(point.name)));
  const Json& reached = field(entry, "reached", origin);
  std::vector<double> values;
  if (reached.is_array())
    for (const Json& value : reached)
      values.push_back(positive(value, fmt::format("{}: {}", origin, shown(point.name))));
  // The rules ask for twice a submission's runs; some points of older rounds have a few less.
  if (values.size() < 4)
    throw UserError(fmt::format("{}: {} has {} runs, at least 4 are needed", origin, shown(point.name), values.size()));
  std::sort(values.begin(), values.end());
  point.runs = static_cast<int>(values.size());
  point.mean = *olympic_mean(values);
  point.deviation = deviation_of(values);
  point.minimum = minimum_mean({.mean = point.mean,
                                .deviation = point.deviation,
                                .reference_runs = point.runs - 2,
                                .submission_runs = runs_required - 2});
  return point;
}

double between(double at, double low, double high, double value_low, double value_high) {
  return (value_high - value_low) / (high - low) * (at - low) + value_low;
}

// Marks the points that others make superfluous (rules digest 3.2): those at batch sizes below that of the fastest
// convergence, then, walking up once, each that lies above the line between its neighbours of the moment.
void prune(std::vector<ReferencePoint>& points) {
  const auto fastest = std::min_element(
      points.begin(), points.end(), [](const ReferencePoint& a, const ReferencePoint& b) { return a.mean < b.mean; });
  std::vector<ReferencePoint*> kept;
  for (ReferencePoint& point : points) {
    point.pruned = point.batch < fastest->batch;
    if (!point.pruned) kept.push_back(&point);
  }
  for (size_t i = 1; i + 1 < kept.size();) {
    const ReferencePoint &low = *kept[i - 1], &high = *kept[i + 1];
    if (kept[i]->mean > between(kept[i]->batch, low.batch, high.batch, low.mean, high.mean)) {
      kept[i]->pruned = true;
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

}  // namespace

const std::vector<std::string>& rulesets() {
  static const std::vector<std::string> kRulesets = {"5.1.0", "6.0.0"};
  return kRulesets;
}

std::vector<std::string> reference_benchmarks(std::string_view ruleset) {
  std::vector<std::string> names;
  for (const auto& [name, benchmark] : document_of(ruleset).at("benchmarks").items()) names.push_back(name);
  return names;
}

std::optional<ReferencePoints> reference_points(std::string_view ruleset, std::string_view benchmark) {
  return parse_reference_points(document_of(ruleset), benchmark, fmt::format("reference points {}", ruleset));
}

std::optional<ReferencePoints> parse_reference_points(const Json& document, std::string_view benchmark,
                                                      const std::string& origin) {
  if (const std::string schema = text(document, "schema", origin); schema != kSchema)
    throw UserError(fmt::format("{}: schema {}, not {}", origin, shown(schema), kSchema));
  const Json& benchmarks = field(document, "benchmarks", origin);
  if (!benchmarks.is_object()) throw UserError(fmt::format("{}: \"benchmarks\" must be an object", origin));
  if (!benchmarks.contains(benchmark)) return std::nullopt;
  const Json& entry = benchmarks.at(std::string(benchmark));
  ReferencePoints result;
  result.ruleset = text(document, "ruleset", origin);
  result.source = text(document, "source", origin);
  result.benchmark = benchmark;
  result.unit = text(entry, "unit", origin);
  if (result.unit != "samples" && result.unit != "epochs")
    throw UserError(fmt::format("{}: unit {}, neither samples nor epochs", origin, shown(result.unit)));
  const double runs = positive(field(entry, "runs", origin), fmt::format("{}: runs", origin));
  if (runs < 3 || runs > 1000) throw UserError(fmt::format("{}: {} runs, not 3 to 1000", origin, runs));
  result.runs_required = static_cast<int>(runs);
  if (benchmark == kAllowedBenchmark) result.allowance = kAllowance;
  const Json& points = field(entry, "points", origin);
  if (!points.is_array() || points.empty()) throw UserError(fmt::format("{}: {} has no points", origin, benchmark));
  for (const Json& point : points) result.points.push_back(point_of(point, result.runs_required, origin));
  std::sort(result.points.begin(), result.points.end(),
            [](const ReferencePoint& a, const ReferencePoint& b) { return a.batch < b.batch; });
  for (size_t i = 1; i < result.points.size(); ++i)
    if (result.points[i].batch == result.points[i - 1].batch)
      throw UserError(fmt::format("{}: {} has two points of batch size {}", origin, benchmark, result.points[i].batch));
  prune(result.points);
  return result;
}

ReferencePoint interpolate(const ReferencePoint& low, const ReferencePoint& high, double batch, int runs_required) {
  ReferencePoint point;
  point.batch = batch;
  point.mean = between(batch, low.batch, high.batch, low.mean, high.mean);
  point.deviation = between(batch, low.batch, high.batch, low.deviation, high.deviation);
  point.minimum = minimum_mean({.mean = point.mean,
                                .deviation = point.deviation,
                                .reference_runs = 2 * runs_required,
                                .submission_runs = runs_required - 2});
  point.name = "interpolated";
  point.source = fmt::format("between {} and {}", low.name, high.name);
  return point;
}

}  // namespace timetrial::results
