// The end of a log: which files count, what each of them still demands, and the last word per key.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>

#include "mllog/rule_engine.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

Judgement Judge::finish() const {
  Judgement out;
  const auto dies = [&](const std::string& why) {
    if (out.official_dies.empty()) out.official_dies = why;
  };
  std::deque<size_t> queue = {index_->file_named("common")};
  while (!queue.empty()) {
    const size_t file = queue.front();
    queue.pop_front();
    const RuleFile* const rules = index_->files()[file];
    if (std::find(out.applied.begin(), out.applied.end(), rules) != out.applied.end()) {
      // A benchmark named "common" asks for the file that asks.
      dies(fmt::format("the log makes it apply the rules {} for ever", rules->name));
      continue;
    }
    out.applied.push_back(rules);
    const Walk& walk = walks_[file];
    TIMETRIAL_CHECK(walk.active, "rules {} were out of reach and are asked for", rules->name);
    combine(file, out);
    if (!walk.official_dies.empty()) dies(walk.official_dies);
    for (const std::string& name : walk.next) {
      const size_t next = index_->file_named(name);
      if (next < walks_.size()) {
        queue.push_back(next);
      } else {
        dies(fmt::format("ruleset {} has no rules {}", index_->version(), name));
      }
    }
  }
  return out;
}

void Judge::combine(size_t file, Judgement& out) const {
  const Walk& walk = walks_[file];
  const std::vector<RuleIndex::Entry>& entries = index_->entries_of(file);
  for (const RuleIndex::Entry& entry : entries) out.errors.erase(entry.rule->key);
  for (const auto& [key, error] : walk.errors) out.errors[key] = error;
  for (const auto& [key, remark] : walk.remarks) out.remarks.push_back(remark);
  for (const RuleIndex::Entry& entry : entries) {
    demand_some_record(entry, out);
    demand_occurrence(entry, out);
    out.seen[entry.rule->key] = keys_[entry.slot].count;
  }
}

void Judge::demand_some_record(const RuleIndex::Entry& entry, Judgement& out) const {
  const KeyRule& rule = *entry.rule;
  const KeyState& key = keys_[entry.slot];
  if (rule.some_record.empty() || key.count == 0 || key.satisfied) return;
  std::vector<std::string> words;
  for (const Check& check : rule.some_record) words.push_back(describe(check));
  out.lasting.push_back(
      finding(entry, Severity::error, key.last_line, fmt::format("at least one record {}", fmt::join(words, " and ")),
              {fmt::format("none of {}; the last is {}", key.count, key.last), "train until the target is reached"}));
}

void Judge::demand_occurrence(const RuleIndex::Entry& entry, Judgement& out) const {
  const KeyRule& rule = *entry.rule;
  const int64_t count = keys_[entry.slot].count;
  switch (rule.occurrence.kind) {
    case OccurrenceKind::exactly_one:
      if (count != 1) demand_exactly_one(entry, out);
      break;
    case OccurrenceKind::at_least:
      if (count < rule.occurrence.count)
        out.errors[rule.key] =
            finding(entry, Severity::error, 0,
                    rule.occurrence.count == 1 ? "is logged at least once"
                                               : fmt::format("is logged at least {} times", rule.occurrence.count),
                    {fmt::format("{} records", count), "log it"});
      break;
    case OccurrenceKind::at_least_one_or:
      if (count == 0 && count_of(entry.file, rule.occurrence.other) == 0) demand_either(entry, out);
      break;
    case OccurrenceKind::optional:
      break;
  }
}

void Judge::demand_exactly_one(const RuleIndex::Entry& entry, Judgement& out) const {
  const KeyState& key = keys_[entry.slot];
  const std::string words = "is logged exactly once";
  if (key.count == 0) {
    out.errors[entry.rule->key] = finding(entry, Severity::error, 0, words, {"no record", "log it once"});
  } else if (key.different_line > 0) {
    out.errors[entry.rule->key] =
        finding(entry, Severity::error, key.different_line, words,
                {fmt::format("{} records with different values: {} on line {}, {} here", key.count,
                             excerpt(key.first_value), key.first_line, key.different),
                 "log it once, with the value the run used"});
  } else {
    out.warnings[entry.rule->key] =
        finding(entry, Severity::warning, key.last_line, words,
                {fmt::format("{} records, all {}", key.count, excerpt(key.first_value)), "log it from one rank only"});
  }
}

void Judge::demand_either(const RuleIndex::Entry& entry, Judgement& out) const {
  std::vector<std::string> names = {entry.rule->key, entry.rule->occurrence.other};
  std::sort(names.begin(), names.end());
  Finding either =
      finding(entry, Severity::error, 0, "one of them is logged at least once", {"no record of either", "log one"});
  either.key = fmt::format("{}", fmt::join(names, " or "));
  for (const Finding& known : out.lasting)
    if (known.key == either.key) return;
  out.lasting.push_back(std::move(either));
}

int64_t Judge::count_of(size_t file, const std::string& key) const {
  for (const RuleIndex::Entry& entry : index_->entries_of(file))
    if (entry.rule->key == key) return keys_[entry.slot].count;
  return 0;
}

}  // namespace timetrial::mllog
