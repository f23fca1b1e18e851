// What the results layer reads of other people's files: the first byte chooses the reader, the rest is the file.
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "results/system_facts.h"
#include "timetrial/results/convergence.h"
#include "timetrial/results/records.h"

using namespace timetrial;

namespace {

void convergence(std::string_view text) {
  const results::ConvergenceReading reading = results::read_convergence(text);
  TIMETRIAL_CHECK(std::isfinite(reading.reached), "reached {}", reading.reached);
  TIMETRIAL_CHECK(reading.trouble.empty() || reading.trouble_line > 0, "trouble without a line: {}", reading.trouble);
  TIMETRIAL_CHECK(reading.trouble.find('\n') == std::string::npos, "trouble of many lines: {}", reading.trouble);
  const results::ConvergenceVerdict verdict =
      results::judge_convergence({reading, reading, reading}, {"a", "b", "c"}, {.ruleset = "6.0.0", .bypass = false});
  TIMETRIAL_CHECK(!verdict.explanation.empty(), "no word on the outcome");
  TIMETRIAL_CHECK(!verdict.passed || (reading.trouble.empty() && reading.converged && verdict.factor >= 1),
                  "passed with trouble '{}' or factor {}", reading.trouble, verdict.factor);
}

void records(std::string_view text) {
  const Json document = parse_json(text, "file");
  const results::LoadedRecords loaded = results::load_records(document, "file");
  TIMETRIAL_CHECK(loaded.records.size() <= document.at("records").size(), "{} records", loaded.records.size());
  for (const results::ResultRecord& record : loaded.records)
    TIMETRIAL_CHECK(!record.minutes || std::isfinite(*record.minutes), "minutes {}", *record.minutes);
  TIMETRIAL_CHECK(results::select(loaded.records, {}, results::RecordOrder::minutes).size() == loaded.records.size(),
                  "no filter, and records are gone");
}

void reference(std::string_view text) {
  const auto points = results::parse_reference_points(parse_json(text, "file"), "x", "file");
  if (!points) return;
  for (const results::ReferencePoint& point : points->points)
    TIMETRIAL_CHECK(point.minimum >= 0 && point.minimum <= point.mean, "minimum {} of mean {}", point.minimum,
                    point.mean);
}

void system_description(std::string_view text) {
  const results::SystemFacts facts = results::system_facts(parse_json(text, "file"));
  for (const std::string& problem : facts.problems)
    TIMETRIAL_CHECK(problem.find('\n') == std::string::npos, "a problem of many lines: {}", problem);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  fuzz::one_line_errors_only([&] {
    switch (data[0] % 4) {
      case 0:
        return convergence(text);
      case 1:
        return records(text);
      case 2:
        return reference(text);
      default:
        return system_description(text);
    }
  });
  return 0;
}
