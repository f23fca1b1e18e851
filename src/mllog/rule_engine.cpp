// The walk: rule files in a queue, records in file order, one last word per key.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/rule_engine.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <set>

#include "mllog/check_record.h"
#include "mllog/python_value.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

// One rule file over all records.
class Walk {
 public:
  Walk(const RuleFile& file, const Ruleset& ruleset, Judgement& out) : file_(file), ruleset_(ruleset), out_(out) {
    state_.remembered = file.starts_with;
    for (const KeyRule& rule : file.keys) {
      rules_[rule.key] = &rule;
      records_[rule.key];
      out_.errors.erase(rule.key);
    }
  }

  // Rule files that the records ask for are appended to `queue`.
  void run(const std::vector<Record>& records, std::deque<const RuleFile*>& queue) {
    for (const Record& record : records) {
      const auto rule = rules_.find(record.key);
      if (rule == rules_.end()) continue;
      auto& of_key = records_[record.key];
      of_key.push_back(&record);
      // Submission keys are looked at once: ranks repeat them.
      if (of_key.size() == 1 || record.key.find("submission_") == std::string::npos)
        visit(*rule->second, record, queue);
      try_some_record(*rule->second, record);
    }
    for (const KeyRule& rule : file_.keys) {
      if (rules_[rule.key] != &rule) continue;
      demand_some_record(rule);
      demand_occurrence(rule);
      out_.seen[rule.key] = static_cast<int64_t>(records_[rule.key].size());
    }
  }

 private:
  std::string sourced(const std::string& words) const {
    return fmt::format("{} ({}, {})", words, file_.name, ruleset_.version);
  }

  void put_error(const std::string& key, int64_t line, const std::string& rule, Failure failure) {
    out_.errors[key] = {Severity::error, key, line, sourced(rule), std::move(failure.found), std::move(failure.advice)};
  }

  void visit(const KeyRule& rule, const Record& record, std::deque<const RuleFile*>& queue) {
    bool failed = false;
    for (const Check& check : rule.checks) {
      std::optional<Failure> failure = check_record(check, record, state_);
      if (!failure) continue;
      if (!failed && failing_records_[rule.key]++ > 0)
        failure->found += fmt::format(" ({} earlier records fail too)", failing_records_[rule.key] - 1);
      failed = true;
      put_error(rule.key, record.line, describe(check), *std::move(failure));
    }
    for (const Memory& memory : rule.remember) remember(rule, memory, record);
    if (!rule.then_rules.empty()) enqueue(rule, record, failed, queue);
    const auto [first, is_new] = state_.earliest.try_emplace(record.key, record.time_ms);
    if (!is_new && record.time_ms < first->second) first->second = record.time_ms;
  }

  void remember(const KeyRule& rule, const Memory& memory, const Record& record) {
    if (memory.expression) {
      const std::optional<double> value = evaluate(*memory.expression, record, state_);
      if (value) {
        state_.remembered[memory.name] = *value;
      } else {
        put_error(rule.key, record.line, fmt::format("gives numbers for {}", memory.expression->text()),
                  {excerpt(record.value), fmt::format("log bare numbers, and all that {} names before this record",
                                                      memory.expression->text())});
      }
    } else if (memory.otherwise) {
      const auto choice =
          record.value.is_string() ? memory.by_value.find(record.value.get<std::string>()) : memory.by_value.end();
      state_.remembered[memory.name] = choice != memory.by_value.end() ? choice->second : *memory.otherwise;
    } else {
      state_.remembered[memory.name] = record.value;
    }
  }

  void enqueue(const KeyRule& rule, const Record& record, bool failed, std::deque<const RuleFile*>& queue) {
    std::string name = rule.then_rules;
    if (record.value.is_string()) name.replace(name.find("{}"), 2, record.value.get<std::string>());
    const auto next = ruleset_.files.find(name);
    if (next != ruleset_.files.end()) {
      queue.push_back(&next->second);
    } else if (!failed) {
      out_.missing_rules = name;
    }
  }

  void try_some_record(const KeyRule& rule, const Record& record) {
    if (rule.some_record.empty()) return;
    if (!number_of(record.value)) {
      // The official checker dies of this one, whatever the other records say.
      put_error(rule.key, record.line, "is a number", {excerpt(record.value), "log the bare number"});
      return;
    }
    for (const Check& check : rule.some_record)
      if (check_record(check, record, state_)) return;
    satisfied_.insert(rule.key);
  }

  void demand_some_record(const KeyRule& rule) {
    const std::vector<const Record*>& records = records_[rule.key];
    if (rule.some_record.empty() || records.empty() || satisfied_.count(rule.key) == 1) return;
    std::vector<std::string> words;
    for (const Check& check : rule.some_record) words.push_back(describe(check));
    out_.lasting.push_back({Severity::error, rule.key, records.back()->line,
                            sourced(fmt::format("at least one record {}", fmt::join(words, " and "))),
                            fmt::format("none of {}; the last is {}", records.size(), excerpt(records.back()->value)),
                            "train until the target is reached"});
  }

  void demand_occurrence(const KeyRule& rule) {
    const std::vector<const Record*>& records = records_[rule.key];
    const auto count = static_cast<int64_t>(records.size());
    switch (rule.occurrence.kind) {
      case OccurrenceKind::exactly_one:
        if (count != 1) demand_exactly_one(rule, records);
        break;
      case OccurrenceKind::at_least:
        if (count < rule.occurrence.count)
          put_error(rule.key, 0,
                    rule.occurrence.count == 1 ? "is logged at least once"
                                               : fmt::format("is logged at least {} times", rule.occurrence.count),
                    {fmt::format("{} records", count), "log it"});
        break;
      case OccurrenceKind::at_least_one_or:
        if (count == 0 && records_[rule.occurrence.other].empty()) demand_either(rule);
        break;
      case OccurrenceKind::optional:
        break;
    }
  }

  void demand_exactly_one(const KeyRule& rule, const std::vector<const Record*>& records) {
    const std::string words = "is logged exactly once";
    if (records.empty()) return put_error(rule.key, 0, words, {"no record", "log it once"});
    const auto other = std::find_if(records.begin(), records.end(), [&](const Record* record) {
      return !python_equal(record->value, records.front()->value);
    });
    if (other != records.end())
      return put_error(rule.key, (*other)->line, words,
                       {fmt::format("{} records with different values: {} on line {}, {} here", records.size(),
                                    excerpt(records.front()->value), records.front()->line, excerpt((*other)->value)),
                        "log it once, with the value the run used"});
    out_.warnings[rule.key] = {Severity::warning,
                               rule.key,
                               records.back()->line,
                               sourced(words),
                               fmt::format("{} records, all {}", records.size(), excerpt(records.front()->value)),
                               "log it from one rank only"};
  }

  void demand_either(const KeyRule& rule) {
    std::vector<std::string> names = {rule.key, rule.occurrence.other};
    std::sort(names.begin(), names.end());
    const std::string key = fmt::format("{}", fmt::join(names, " or "));
    for (const Finding& known : out_.lasting)
      if (known.key == key) return;
    out_.lasting.push_back(
        {Severity::error, key, 0, sourced("one of them is logged at least once"), "no record of either", "log one"});
  }

  const RuleFile& file_;
  const Ruleset& ruleset_;
  Judgement& out_;
  WalkState state_;
  std::map<std::string, const KeyRule*> rules_;
  std::map<std::string, std::vector<const Record*>> records_;
  std::map<std::string, int64_t> failing_records_;
  std::set<std::string> satisfied_;
};

}  // namespace

Judgement apply_rules(const std::vector<Record>& records, const Ruleset& ruleset) {
  Judgement judgement;
  const auto common = ruleset.files.find("common");
  TIMETRIAL_CHECK(common != ruleset.files.end(), "ruleset {} has no file common", ruleset.version);
  std::deque<const RuleFile*> queue = {&common->second};
  while (!queue.empty()) {
    const RuleFile& file = *queue.front();
    queue.pop_front();
    // A benchmark named "common" asks for the file that asks; the official checker never ends then.
    if (std::find(judgement.applied.begin(), judgement.applied.end(), &file) != judgement.applied.end()) continue;
    judgement.applied.push_back(&file);
    Walk(file, ruleset, judgement).run(records, queue);
  }
  return judgement;
}

}  // namespace timetrial::mllog
