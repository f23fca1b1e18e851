// Rule files into values, strictly: an unknown field or check is a bug in the data.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/rule.h"

#include <fmt/ranges.h>

#include <set>

#include "mllog/json_text.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

const std::map<std::string, CheckKind>& kinds() {
  static const std::map<std::string, CheckKind> names = {
      {"present", CheckKind::present},
      {"non_empty", CheckKind::non_empty},
      {"one_of", CheckKind::one_of},
      {"equals", CheckKind::equals},
      {"above", CheckKind::above},
      {"at_least", CheckKind::at_least},
      {"below", CheckKind::below},
      {"at_most", CheckKind::at_most},
      {"whole_number", CheckKind::whole_number},
      {"equals_expression", CheckKind::equals_expression},
      {"after", CheckKind::after},
      {"not_after", CheckKind::not_after},
      {"elapsed_below", CheckKind::elapsed_below},
      {"metadata_any_of", CheckKind::metadata_any_of},
      {"metadata_if", CheckKind::metadata_if},
      {"metadata_number", CheckKind::metadata_number},
  };
  return names;
}

void allow_fields(const Json& object, const std::set<std::string>& allowed, const std::string& where) {
  TIMETRIAL_CHECK(object.is_object(), "{}: no object: {}", where, object.dump());
  for (const auto& [name, member] : object.items())
    TIMETRIAL_CHECK(allowed.count(name) == 1, "{}: unknown field {} in {}", where, name, object.dump());
}

bool is_bound(CheckKind kind) {
  return kind == CheckKind::above || kind == CheckKind::at_least || kind == CheckKind::below ||
         kind == CheckKind::at_most;
}

void parse_operand(Check& check, const Json& operand, const std::string& where) {
  switch (check.kind) {
    case CheckKind::present:
    case CheckKind::non_empty:
    case CheckKind::whole_number:
      TIMETRIAL_CHECK(operand == true, "{}: {} takes true", where, operand.dump());
      break;
    case CheckKind::one_of:
      TIMETRIAL_CHECK(operand.is_array(), "{}: one_of takes a list", where);
      check.operand = operand;
      break;
    case CheckKind::equals:
      check.operand = operand;
      break;
    case CheckKind::above:
    case CheckKind::at_least:
    case CheckKind::below:
    case CheckKind::at_most:
      TIMETRIAL_CHECK(operand.is_number(), "{}: {} is no number", where, operand.dump());
      check.operand = operand;
      break;
    case CheckKind::equals_expression:
      allow_fields(operand, {"expression", "of", "tolerance"}, where);
      check.expression = Expression::parse(operand.at("expression").get<std::string>());
      check.of = Expression::parse(operand.value("of", "value"));
      check.tolerance = operand.value("tolerance", 0.0);
      break;
    case CheckKind::after:
    case CheckKind::not_after:
      check.names = {operand.get<std::string>()};
      break;
    case CheckKind::elapsed_below:
      allow_fields(operand, {"since", "minutes"}, where);
      check.names = {operand.at("since").get<std::string>(), operand.at("minutes").get<std::string>()};
      break;
    case CheckKind::metadata_any_of:
      check.names = operand.get<std::vector<std::string>>();
      break;
    case CheckKind::metadata_if:
      allow_fields(operand, {"has", "needs"}, where);
      check.names = {operand.at("has").get<std::string>(), operand.at("needs").get<std::string>()};
      break;
    case CheckKind::metadata_number:
      TIMETRIAL_CHECK(operand.size() == 2, "{}: name and one bound: {}", where, operand.dump());
      check.names = {operand.at("name").get<std::string>()};
      for (const auto& [name, bound] : operand.items())
        if (name != "name") {
          const auto relation = kinds().find(name);
          TIMETRIAL_CHECK(relation != kinds().end() && is_bound(relation->second) && bound.is_number(),
                          "{}: no bound: {}", where, operand.dump());
          check.relation = relation->second;
          check.operand = bound;
        }
      break;
  }
}

Check parse_check(const Json& json, const std::string& where) {
  Check check;
  check.target = json.value("target", false);
  TIMETRIAL_CHECK(json.size() == (check.target ? 2u : 1u), "{}: one kind per check: {}", where, json.dump());
  for (const auto& [name, operand] : json.items()) {
    if (name == "target") continue;
    TIMETRIAL_CHECK(kinds().count(name) == 1, "{}: unknown check {}", where, name);
    check.kind = kinds().at(name);
    parse_operand(check, operand, where);
  }
  return check;
}

Occurrence parse_occurrence(const Json& json, const std::string& where) {
  if (json == "exactly_one") return {OccurrenceKind::exactly_one, 1, {}};
  if (json == "at_least_one") return {OccurrenceKind::at_least, 1, {}};
  if (json == "optional") return {OccurrenceKind::optional, 1, {}};
  allow_fields(json, {"at_least", "at_least_one_or"}, where);
  if (json.contains("at_least")) return {OccurrenceKind::at_least, json["at_least"].get<int64_t>(), {}};
  return {OccurrenceKind::at_least_one_or, 1, json.at("at_least_one_or").get<std::string>()};
}

Memory parse_memory(const std::string& name, const Json& json, const std::string& where) {
  allow_fields(json, {"value", "expression", "by_value", "otherwise"}, where);
  Memory memory;
  memory.name = name;
  if (json.contains("expression")) memory.expression = Expression::parse(json["expression"].get<std::string>());
  if (json.contains("by_value")) {
    memory.by_value = json["by_value"].get<std::map<std::string, Json>>();
    memory.otherwise = json.at("otherwise");
  }
  return memory;
}

KeyRule parse_key_rule(const Json& json, const std::string& file) {
  const std::string where = fmt::format("rules {}, {}", file, json.value("key", "a key without name"));
  allow_fields(json, {"key", "occurrence", "checks", "some_record", "remember", "remarks", "then_rules"}, where);
  KeyRule rule;
  rule.key = json.at("key").get<std::string>();
  rule.occurrence = parse_occurrence(json.at("occurrence"), where);
  for (const Json& check : json.value("checks", Json::array())) rule.checks.push_back(parse_check(check, where));
  for (const Json& check : json.value("some_record", Json::array())) {
    rule.some_record.push_back(parse_check(check, where));
    TIMETRIAL_CHECK(limits_value(rule.some_record.back().kind), "{}: some_record looks at values only", where);
  }
  const Json memories = json.value("remember", Json::object());
  for (const auto& [name, memory] : memories.items()) rule.remember.push_back(parse_memory(name, memory, where));
  for (const Json& remark : json.value("remarks", Json::array())) {
    allow_fields(remark, {"check", "rule", "advice"}, where);
    rule.remarks.push_back({parse_check(remark.at("check"), where), remark.at("rule").get<std::string>(),
                            remark.at("advice").get<std::string>()});
  }
  rule.then_rules = json.value("then_rules", "");
  TIMETRIAL_CHECK(rule.then_rules.empty() || rule.then_rules.find("{}") != std::string::npos,
                  "{}: then_rules without {{}}: {}", where, rule.then_rules);
  return rule;
}

std::string bound_words(CheckKind kind) {
  if (kind == CheckKind::above) return "above";
  if (kind == CheckKind::at_least) return "at least";
  if (kind == CheckKind::below) return "below";
  TIMETRIAL_CHECK(kind == CheckKind::at_most, "a bound is none of above, at_least, below, at_most");
  return "at most";
}

std::string words_of(const Check& check) {
  switch (check.kind) {
    case CheckKind::present:
      return "has a value";
    case CheckKind::non_empty:
      return "is not empty";
    case CheckKind::one_of: {
      std::vector<std::string> words;
      for (const Json& word : check.operand) words.push_back(word.is_string() ? word.get<std::string>() : word.dump());
      return fmt::format("is one of {}", fmt::join(words, ", "));
    }
    case CheckKind::equals:
      return fmt::format("equals {}", json_text(check.operand));
    case CheckKind::above:
    case CheckKind::at_least:
    case CheckKind::below:
    case CheckKind::at_most:
      return fmt::format("is {} {}", bound_words(check.kind), json_text(check.operand));
    case CheckKind::whole_number:
      return "is a whole number";
    case CheckKind::equals_expression: {
      const std::string left = check.of->text() == "value" ? "equals" : check.of->text() + " equals";
      const std::string within = check.tolerance > 0 ? fmt::format(" within {}", check.tolerance) : "";
      return fmt::format("{} {}{}", left, check.expression->text(), within);
    }
    case CheckKind::after:
      return fmt::format("comes after {}", check.names[0]);
    case CheckKind::not_after:
      return fmt::format("comes before {}", check.names[0]);
    case CheckKind::elapsed_below:
      return fmt::format("comes within the time limit after the first {}", check.names[0]);
    case CheckKind::metadata_any_of:
      return fmt::format("has metadata {}", fmt::join(check.names, " or "));
    case CheckKind::metadata_if:
      return fmt::format("has metadata {} beside {}", check.names[1], check.names[0]);
    case CheckKind::metadata_number:
      return fmt::format("has metadata {} {} {}", check.names[0], bound_words(check.relation),
                         json_text(check.operand));
  }
  throw Error("a rule's check has no kind");
}

}  // namespace

bool limits_value(CheckKind kind) {
  switch (kind) {
    case CheckKind::one_of:
    case CheckKind::equals:
    case CheckKind::above:
    case CheckKind::at_least:
    case CheckKind::below:
    case CheckKind::at_most:
    case CheckKind::whole_number:
    case CheckKind::equals_expression:
      return true;
    case CheckKind::present:
    case CheckKind::non_empty:
    case CheckKind::after:
    case CheckKind::not_after:
    case CheckKind::elapsed_below:
    case CheckKind::metadata_any_of:
    case CheckKind::metadata_if:
    case CheckKind::metadata_number:
      return false;
  }
  throw Error("a rule's check has no kind");
}

std::string describe(const Check& check) { return words_of(check) + (check.scaled ? ", declared as scaled" : ""); }

RuleFile parse_rules(const Json& file) try {
  allow_fields(file, {"name", "about", "starts_with", "evaluate_every_samples", "skip_evaluations", "keys"},
               "rule file");
  RuleFile rules;
  rules.name = file.at("name").get<std::string>();
  rules.about = file.at("about").get<std::string>();
  rules.starts_with = file.value("starts_with", std::map<std::string, Json>());
  if (file.contains("evaluate_every_samples"))
    rules.evaluate_every_samples = file["evaluate_every_samples"].get<double>();
  if (file.contains("skip_evaluations"))
    rules.skip_evaluations = Expression::parse(file["skip_evaluations"].get<std::string>());
  std::set<std::string> keys;
  for (const Json& rule : file.at("keys")) {
    rules.keys.push_back(parse_key_rule(rule, rules.name));
    TIMETRIAL_CHECK(keys.insert(rules.keys.back().key).second, "rules {}: {} twice", rules.name, rules.keys.back().key);
  }
  return rules;
} catch (const Json::exception& error) {
  throw Error(fmt::format("a rule file is not as it should be: {}", error.what()));
}

}  // namespace timetrial::mllog
