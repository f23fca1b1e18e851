// Rule files: the input is a rule file in JSON. What is accepted must judge a log without harm.
// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz/fuzz.h"
#include "mllog/rule_engine.h"

using namespace timetrial;
using namespace timetrial::mllog;

namespace {

// Values that rules may stumble over, under the keys that rule files know.
std::vector<Record> log_of(const RuleFile& rules) {
  static const Json values[] = {nullptr, true, 0, -1, 16, 1e300, "16", "closed", Json::array({1}), {{"a", 1}}};
  std::vector<Record> records;
  for (const KeyRule& rule : rules.keys)
    for (const Json& value : values) {
      Record record;
      record.line = static_cast<int64_t>(records.size());
      record.time_ms = 1e12 + static_cast<double>(record.line);
      record.key = rule.key;
      record.value = value;
      record.metadata = {{"samples_count", value}};
      records.push_back(std::move(record));
    }
  return records;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Json json = Json::parse(data, data + size, nullptr, false);
  if (json.is_discarded()) return 0;
  // A bad rule file is a bug of the program that carries it: Error, not UserError.
  try {
    Ruleset ruleset;
    ruleset.version = "0";
    RuleFile rules = parse_rules(json);
    const std::vector<Record> records = log_of(rules);
    rules.name = "common";
    ruleset.files.emplace("common", std::move(rules));
    const Judgement judgement = apply_rules(records, ruleset);
    TIMETRIAL_CHECK(judgement.applied.size() == 1, "{} rule files applied", judgement.applied.size());
  } catch (const Error& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
  return 0;
}
