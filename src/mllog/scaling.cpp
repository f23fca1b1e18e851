// Scaled rules: "eval_samples is 16 here instead of 1024", declared in the log and checked to the letter.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/scaling.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "mllog/check_record.h"
#include "mllog/python_value.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

// Keys whose names may not appear in other records (rules digest 3.1), and what a declaration calls them.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {{"eval_accuracy", "target"},
                                                                      {"global_batch_size", "batch"}};

std::string to_alias(std::string_view key) {
  for (const auto& [name, alias] : kAliases)
    if (key == name) return std::string(alias);
  return std::string(key);
}

std::string from_alias(std::string_view word) {
  for (const auto& [name, alias] : kAliases)
    if (word == alias) return std::string(name);
  return std::string(word);
}

bool has_target(const KeyRule& rule) {
  return std::any_of(rule.some_record.begin(), rule.some_record.end(), [](const Check& check) { return check.target; });
}

bool has_limit(const KeyRule& rule) {
  return std::any_of(rule.checks.begin(), rule.checks.end(),
                     [](const Check& check) { return limits_value(check.kind); });
}

void scale_rule(KeyRule& rule, const Json& expected) {
  for (Check& check : rule.some_record) {
    if (!check.target || !number_of(expected)) continue;
    check.operand = expected;
    check.scaled = true;
  }
  if (has_target(rule) || !has_limit(rule)) return;
  std::erase_if(rule.checks, [](const Check& check) { return limits_value(check.kind); });
  Check exact;
  exact.kind = CheckKind::equals;
  exact.operand = expected;
  exact.scaled = true;
  rule.checks.push_back(std::move(exact));
}

// The limits that the last applied file with this key sets; that file's word counts.
std::string full_rule(const std::string& key, const Judgement& full) {
  for (auto file = full.applied.rbegin(); file != full.applied.rend(); ++file)
    for (const KeyRule& rule : (*file)->keys) {
      if (rule.key != key) continue;
      std::vector<std::string> words;
      for (const Check& check : rule.checks)
        if (limits_value(check.kind)) words.push_back(describe(check));
      if (has_target(rule))
        for (const Check& check : rule.some_record) words.push_back(describe(check));
      if (!words.empty()) return fmt::format("{}", fmt::join(words, " and "));
    }
  return {};
}

bool fails(const std::string& key, const Judgement& judgement) {
  return judgement.errors.count(key) == 1 || std::any_of(judgement.lasting.begin(), judgement.lasting.end(),
                                                         [&](const Finding& finding) { return finding.key == key; });
}

}  // namespace

void log_scaled_rules(Writer& writer, const std::vector<ScaledCheck>& scaled) {
  for (const ScaledCheck& check : scaled)
    writer.event(kScaledRuleKey,
                 {{"key", to_alias(check.key)}, {"description", check.description}, {"expected", check.expected}});
}

std::vector<ScaledCheck> declared_in(const std::vector<Record>& records, std::vector<Finding>& errors) {
  std::vector<ScaledCheck> declared;
  std::set<std::string> keys;
  for (const Record& record : records) {
    if (record.key != kScaledRuleKey) continue;
    const Json& value = record.value;
    const auto refuse = [&](const std::string& rule, const std::string& advice) {
      errors.push_back({Severity::error, std::string(kScaledRuleKey), record.line, rule, excerpt(value), advice});
    };
    const auto text = [&](const char* name) { return value.contains(name) && value[name].is_string(); };
    if (!value.is_object() || !text("key") || !text("description") || !value.contains("expected")) {
      refuse("is an object of key, description and expected", "write declarations as the training program does");
      continue;
    }
    ScaledCheck check{from_alias(value["key"].get<std::string>()), value["description"].get<std::string>(),
                      value["expected"]};
    if (!keys.insert(check.key).second) {
      refuse("declares each key once", fmt::format("remove all declarations of {} but one", check.key));
    } else {
      declared.push_back(std::move(check));
    }
  }
  return declared;
}

Ruleset scale(const Ruleset& full, const std::vector<ScaledCheck>& scaled) {
  Ruleset result = full;
  for (auto& [name, file] : result.files)
    for (KeyRule& rule : file.keys)
      for (const ScaledCheck& check : scaled)
        if (rule.key == check.key && rule.then_rules.empty()) scale_rule(rule, check.expected);
  return result;
}

std::vector<Finding> judge_declarations(const std::vector<ScaledCheck>& scaled, const Judgement& full,
                                        std::vector<ScaledFinding>& findings) {
  std::vector<Finding> errors;
  for (const ScaledCheck& check : scaled) {
    const auto refuse = [&](const std::string& rule, const std::string& found, const std::string& advice) {
      errors.push_back({Severity::error, check.key, 0, rule, found, advice});
    };
    const std::string rule = full_rule(check.key, full);
    const std::string declared = fmt::format("declared as scaled to {}", excerpt(check.expected));
    if (rule.empty() || check.key.rfind("submission_", 0) == 0) {
      refuse("a scaled rule is one that limits a value", declared,
             "remove the declaration: no rule here can be scaled");
    } else if (check.key != "eval_accuracy" && !fails(check.key, full)) {
      // A run that overshoots its scaled target far enough meets the full one too; its target was scaled all the same.
      refuse(fmt::format("the full rule ({}) fails when declared as scaled", rule),
             declared + ", but the full rule holds", "remove the declaration: the run holds the full rule");
    } else if (check.key == "eval_accuracy" && !number_of(check.expected)) {
      refuse("the declared target is a number", declared, "declare the variant's target");
    } else {
      findings.push_back({check.key, check.description, check.expected, rule});
    }
  }
  return errors;
}

}  // namespace timetrial::mllog
