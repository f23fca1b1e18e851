// What one record does to the walks that are still in reach.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/rule_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "mllog/python_value.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

// Submission keys are looked at once: ranks repeat them.
bool looked_at_once(std::string_view key) { return key.find("submission_") != std::string_view::npos; }

// Whether the check can be worked out: remarks are made only where they are sure.
bool has_all_names(const Check& check, const WalkState& state) {
  if (!check.expression) return true;
  for (const Expression& expression : {*check.expression, *check.of})
    for (const std::string& name : expression.names())
      if (name != "value" && state.remembered.count(name) == 0) return false;
  return true;
}

// '{}'.format(value) in Python, as far as a name of a file can come of it.
std::string name_of_rules(const std::string& pattern, const Json& value) {
  std::string name = pattern;
  const std::string word = value.is_string() ? value.get<std::string>() : excerpt(value);
  name.replace(name.find("{}"), 2, word);
  // A path with "./" in front leads to the same file.
  while (name.rfind("./", 0) == 0) name.erase(0, 2);
  return name;
}

}  // namespace

RuleIndex::RuleIndex(const Ruleset& ruleset) : version_(ruleset.version) {
  for (const auto& [name, file] : ruleset.files) {
    entries_.emplace_back();
    for (const KeyRule& rule : file.keys) {
      const Entry entry{files_.size(), slots_++, &rule};
      entries_.back().push_back(entry);
      by_key_[rule.key].push_back(entry);
    }
    files_.push_back(&file);
  }
  TIMETRIAL_CHECK(file_named("common") < files_.size(), "ruleset {} has no file common", version_);
}

const std::vector<RuleIndex::Entry>* RuleIndex::find(std::string_view key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &found->second;
}

size_t RuleIndex::file_named(const std::string& name) const {
  const auto found =
      std::find_if(files_.begin(), files_.end(), [&](const RuleFile* file) { return file->name == name; });
  return static_cast<size_t>(found - files_.begin());
}

Judge::Judge(const RuleIndex& index) : index_(&index), walks_(index.files().size()), keys_(index.slots()) {
  for (size_t file = 0; file < walks_.size(); ++file) walks_[file].state.remembered = index.files()[file]->starts_with;
}

void Judge::add(const Record& record) {
  const std::vector<RuleIndex::Entry>* const entries = index_->find(record.key);
  if (entries == nullptr) return;
  for (const RuleIndex::Entry& entry : *entries) {
    if (!walks_[entry.file].active) continue;
    KeyState& key = keys_[entry.slot];
    ++key.count;
    key.last_line = record.line;
    if (key.count == 1) {
      key.first_line = record.line;
      key.first_value = record.value;
    } else if (key.different_line == 0 && !python_equal(record.value, key.first_value)) {
      key.different_line = record.line;
      key.different = excerpt(record.value);
    }
    if (key.count == 1 || !looked_at_once(record.key)) visit(entry, record);
    try_some_record(entry, record);
  }
}

std::string Judge::sourced(const RuleIndex::Entry& entry, const std::string& words) const {
  return fmt::format("{} ({}, {})", words, index_->files()[entry.file]->name, index_->version());
}

Finding Judge::finding(const RuleIndex::Entry& entry, Severity severity, int64_t line, const std::string& rule,
                       Failure failure) const {
  return {severity, entry.rule->key, line, sourced(entry, rule), std::move(failure.found), std::move(failure.advice)};
}

void Judge::put_error(const RuleIndex::Entry& entry, int64_t line, const std::string& rule, Failure failure) {
  walks_[entry.file].errors[entry.rule->key] = finding(entry, Severity::error, line, rule, std::move(failure));
}

void Judge::visit(const RuleIndex::Entry& entry, const Record& record) {
  const KeyRule& rule = *entry.rule;
  Walk& walk = walks_[entry.file];
  int64_t& failing = keys_[entry.slot].failing;
  bool failed = false;
  for (const Check& check : rule.checks) {
    std::optional<Failure> failure = check_record(check, record, walk.state);
    if (!failure) continue;
    if (!failed && failing++ > 0) failure->found += fmt::format(" ({} earlier records fail too)", failing - 1);
    failed = true;
    put_error(entry, record.line, describe(check), *std::move(failure));
  }
  for (const RemarkRule& remark : rule.remarks) {
    if (!has_all_names(remark.check, walk.state)) continue;
    if (check_record(remark.check, record, walk.state))
      walk.remarks[rule.key] =
          finding(entry, Severity::warning, record.line, remark.rule, {excerpt(record.value), remark.advice});
  }
  for (const Memory& memory : rule.remember) remember(entry, memory, record);
  const auto [first, is_new] = walk.state.earliest.try_emplace(record.key, record.time_ms);
  if (!is_new && record.time_ms < first->second) first->second = record.time_ms;
  if (!rule.then_rules.empty()) ask(entry, record);
}

void Judge::remember(const RuleIndex::Entry& entry, const Memory& memory, const Record& record) {
  WalkState& state = walks_[entry.file].state;
  if (memory.expression) {
    if (const std::optional<Number> value = evaluate(*memory.expression, record, state)) {
      constexpr long double kMostExact = 9e18L;  // below 2^63
      state.remembered[memory.name] = value->whole && std::abs(value->value) < kMostExact
                                          ? Json(static_cast<int64_t>(value->value))
                                          : Json(static_cast<double>(value->value));
    } else {
      put_error(entry, record.line, fmt::format("gives numbers for {}", memory.expression->text()),
                {excerpt(record.value),
                 fmt::format("log bare numbers, and all that {} names before this record", memory.expression->text())});
    }
  } else if (memory.otherwise) {
    const auto choice =
        record.value.is_string() ? memory.by_value.find(record.value.get<std::string>()) : memory.by_value.end();
    state.remembered[memory.name] = choice != memory.by_value.end() ? choice->second : *memory.otherwise;
  } else {
    state.remembered[memory.name] = record.value;
  }
}

void Judge::ask(const RuleIndex::Entry& entry, const Record& record) {
  Walk& walk = walks_[entry.file];
  const std::string name = name_of_rules(entry.rule->then_rules, record.value);
  if (std::find(walk.next.begin(), walk.next.end(), name) == walk.next.end()) walk.next.push_back(name);
  if (!looked_at_once(record.key)) return;
  walk.fired.push_back(entry.slot);
  close_walks_out_of_reach();
}

// A walk is in reach when a walk in reach has asked for its file, or has a rule that still may.
void Judge::close_walks_out_of_reach() {
  std::set<size_t> reach = {index_->file_named("common")};
  for (size_t before = 0; before != reach.size();) {
    before = reach.size();
    for (const size_t file : std::set<size_t>(reach)) {
      const Walk& walk = walks_[file];
      for (const std::string& name : walk.next)
        if (const size_t next = index_->file_named(name); next < walks_.size()) reach.insert(next);
      for (const RuleIndex::Entry& entry : index_->entries_of(file)) {
        const std::string& pattern = entry.rule->then_rules;
        if (pattern.empty() || std::find(walk.fired.begin(), walk.fired.end(), entry.slot) != walk.fired.end())
          continue;
        const std::string start = pattern.substr(0, pattern.find("{}"));
        for (size_t next = 0; next < walks_.size(); ++next)
          if (index_->files()[next]->name.rfind(start, 0) == 0) reach.insert(next);
      }
    }
  }
  for (size_t file = 0; file < walks_.size(); ++file)
    walks_[file].active = walks_[file].active && reach.count(file) == 1;
}

void Judge::try_some_record(const RuleIndex::Entry& entry, const Record& record) {
  const KeyRule& rule = *entry.rule;
  if (rule.some_record.empty()) return;
  KeyState& key = keys_[entry.slot];
  key.last = excerpt(record.value);
  if (!number_of(record.value)) {
    // The official checker dies of this one, whatever the other records say.
    put_error(entry, record.line, "is a number", {key.last, "log the bare number"});
    walks_[entry.file].official_dies = fmt::format("the value of {} on line {} is no number", rule.key, record.line);
    return;
  }
  for (const Check& check : rule.some_record)
    if (check_record(check, record, walks_[entry.file].state)) return;
  key.satisfied = true;
}

Judgement apply_rules(const std::vector<Record>& records, const Ruleset& ruleset) {
  const RuleIndex index(ruleset);
  Judge judge(index);
  for (const Record& record : records) judge.add(record);
  return judge.finish();
}

}  // namespace timetrial::mllog
