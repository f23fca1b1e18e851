// From JSON to rows; a field that is not what it should be is left away by name.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/records.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "results/json_value.h"
#include "timetrial/base/error.h"
#include "timetrial/results/statistics.h"

namespace timetrial::embedded {
extern const std::string_view published_gpt_oss_20b, published_llama31_405b, published_deepseekv3_671b;
}

namespace timetrial::results {

namespace {

constexpr std::string_view kSchema = "timetrial.results/1";

class Reader {
 public:
  Reader(const Json& rounds, std::string origin) : rounds_(rounds), origin_(std::move(origin)) {}

  void add(const Json& entry, size_t number) {
    const std::string place = fmt::format("{}: record {}", origin_, number);
    if (!entry.is_object()) return loaded.problems.push_back(place + " is no object; left out");
    ResultRecord record;
    for (const char* name : {"round", "organization", "system", "benchmark"})
      if (!entry.contains(name) || !entry.at(name).is_string())
        return loaded.problems.push_back(fmt::format("{} has no text \"{}\"; left out", place, name));
    const auto text = [&](const char* name, std::string& field) {
      if (!entry.contains(name) || entry.at(name).is_null()) return;
      field = text_of(entry.at(name));
      if (!entry.at(name).is_string()) loaded.problems.push_back(fmt::format("{}: \"{}\" is no text", place, name));
    };
    const auto number_field = [&](const char* name, std::optional<double>& field) {
      if (!entry.contains(name) || entry.at(name).is_null()) return;
      field = number_of(entry.at(name));
      if (!field) loaded.problems.push_back(fmt::format("{}: \"{}\" is no number", place, name));
    };
    text("round", record.round);
    text("organization", record.organization);
    text("system", record.system);
    text("benchmark", record.benchmark);
    text("division", record.division);
    text("status", record.status);
    text("accelerator", record.accelerator);
    text("precision", record.precision);
    text("form", record.form);
    number_field("accelerators", record.accelerators);
    number_field("nodes", record.nodes);
    number_field("global_batch", record.batch);
    number_field("minutes", record.minutes);
    number_field("samples", record.samples);
    number_field("step_s", record.step_s);
    std::string review = "reviewed";  // what is shipped was published; an import says what it is
    text("review", review);
    record.reviewed = review == "reviewed";
    estimates(entry, record, place);
    if (!record.samples) record.samples = samples_of_runs(entry);
    round_facts(record);
    record.whole = entry;
    loaded.records.push_back(std::move(record));
  }

  LoadedRecords loaded;

 private:
  void estimates(const Json& entry, ResultRecord& record, const std::string& place) {
    if (!entry.contains("estimated")) return;
    const Json& list = entry.at("estimated");
    if (!list.is_array()) return loaded.problems.push_back(place + ": \"estimated\" is no list");
    for (const Json& name : list) record.estimated.push_back(text_of(name));
  }

  static std::optional<double> samples_of_runs(const Json& entry) {
    std::vector<double> samples;
    if (!entry.contains("runs") || !entry.at("runs").is_array()) return std::nullopt;
    for (const Json& run : entry.at("runs"))
      if (run.is_object() && run.contains("samples"))
        if (const std::optional<double> value = number_of(run.at("samples"))) samples.push_back(*value);
    return olympic_mean(samples);
  }

  void round_facts(ResultRecord& record) const {
    if (!rounds_.is_object() || !rounds_.contains(record.round)) return;
    const Json& round = rounds_.at(record.round);
    if (!round.is_object()) return;
    if (round.contains("date")) record.date = text_of(round.at("date"));
    if (round.contains("source")) record.source = text_of(round.at("source"));
  }

  const Json& rounds_;
  std::string origin_;
};

}  // namespace

bool ResultRecord::is_estimated(const std::string& field) const {
  return std::find(estimated.begin(), estimated.end(), field) != estimated.end();
}

LoadedRecords load_records(const Json& document, const std::string& origin) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(fmt::format("{}: {}; `timetrial results import` writes what is needed here", origin, what));
  };
  if (!document.is_object() || !document.contains("schema") || document.at("schema") != kSchema)
    refuse(fmt::format("no document of schema {}", kSchema));
  if (!document.contains("records") || !document.at("records").is_array()) refuse("holds no list \"records\"");
  const Json rounds = document.contains("rounds") ? document.at("rounds") : Json();
  Reader reader(rounds, origin);
  size_t number = 0;
  for (const Json& entry : document.at("records")) reader.add(entry, ++number);
  return std::move(reader.loaded);
}

LoadedRecords shipped_records() {
  LoadedRecords all;
  const std::pair<std::string_view, const char*> files[] = {
      {embedded::published_deepseekv3_671b, "workloads/deepseekv3_671b/published.json"},
      {embedded::published_gpt_oss_20b, "workloads/gpt_oss_20b/published.json"},
      {embedded::published_llama31_405b, "workloads/llama31_405b/published.json"}};
  for (const auto& [text, origin] : files) {
    LoadedRecords loaded = load_records(parse_json(text, origin), origin);
    std::move(loaded.records.begin(), loaded.records.end(), std::back_inserter(all.records));
    std::move(loaded.problems.begin(), loaded.problems.end(), std::back_inserter(all.problems));
  }
  return all;
}

}  // namespace timetrial::results
