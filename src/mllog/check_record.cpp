// One check, one record: the verdict, and words for a person who has to mend the log.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/check_record.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "mllog/json_text.h"
#include "mllog/python_value.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

bool within(CheckKind relation, long double value, long double bound) {
  if (relation == CheckKind::above) return value > bound;
  if (relation == CheckKind::at_least) return value >= bound;
  if (relation == CheckKind::below) return value < bound;
  TIMETRIAL_CHECK(relation == CheckKind::at_most, "a bound is none of above, at_least, below, at_most");
  return value <= bound;
}

Failure bound_failure(const Check& check, const Json& value) {
  if (!number_of(value)) return {fmt::format("{}, no number", excerpt(value)), "log the bare number, not text"};
  return {excerpt(value), fmt::format("make it a number that {}", describe(check))};
}

Failure choice_failure(const Check& check, const Json& value) {
  std::vector<std::string> words;
  for (const Json& word : check.operand)
    if (word.is_string()) words.push_back(word.get<std::string>());
  const std::string near = value.is_string() ? nearest_word(value.get<std::string>(), words) : "";
  return {excerpt(value), near.empty() ? "use one of these, spelled exactly so" : fmt::format("write \"{}\"", near)};
}

Failure equality_failure(const Check& check, const Record& record) {
  if (check.scaled)
    return {excerpt(record.value), "make the run use the value that the variant declares, or correct the declaration"};
  const bool text_for_number = record.value.is_string() && check.operand.is_number();
  return {excerpt(record.value), text_for_number ? fmt::format("log the bare number {}", json_text(check.operand))
                                                 : fmt::format("set it to {}", json_text(check.operand))};
}

std::string text_of(const Number& number) {
  return number.whole && std::abs(number.value) < 1e18L ? fmt::format("{}", static_cast<int64_t>(number.value))
                                                        : json_text(static_cast<double>(number.value));
}

std::optional<Failure> check_expression(const Check& check, const Record& record, const WalkState& state) {
  for (const std::string& name : check.expression->names())
    if (name != "value" && state.remembered.count(name) == 0)
      return Failure{fmt::format("{}, but no {} before it", excerpt(record.value), name),
                     fmt::format("log {} before {}", name, record.key)};
  const std::optional<Number> left = evaluate(*check.of, record, state);
  const std::optional<Number> right = evaluate(*check.expression, record, state);
  if (left && right) {
    const auto x = static_cast<double>(left->value), y = static_cast<double>(right->value);
    const bool holds = check.tolerance > 0 ? std::abs(x - y) < check.tolerance : left->value == right->value;
    if (holds) return std::nullopt;
    return Failure{excerpt(record.value),
                   fmt::format("{} is {} here, not {}", check.expression->text(), text_of(*right), text_of(*left))};
  }
  return Failure{fmt::format("{}; the numbers of the rule cannot be worked out", excerpt(record.value)),
                 fmt::format("log bare numbers for {} and for all of {}", record.key, check.expression->text())};
}

std::optional<Failure> check_elapsed(const Check& check, const Record& record, const WalkState& state) {
  const auto first = state.earliest.find(check.names[0]);
  const auto minutes = state.remembered.find(check.names[1]);
  TIMETRIAL_CHECK(minutes != state.remembered.end(), "rules use {} before it has a value", check.names[1]);
  // The official checker starts from 9e99, so that without a start the elapsed time is far below zero, and passes.
  const double start = first == state.earliest.end() ? 9e99 : std::min(first->second, 9e99);
  const long double limit_ms = number_of(minutes->second).value_or(0) * 60e3L;
  if (record.time_ms - start < limit_ms) return std::nullopt;
  return Failure{fmt::format("{:.3f} s after it, the limit is {:.0f} s", (record.time_ms - start) / 1e3,
                             static_cast<double>(limit_ms / 1e3L)),
                 limit_ms > 0 ? "shorten the untimed part or start the clock earlier"
                              : "log submission_division before this record: it sets the limit"};
}

std::optional<Failure> check_metadata_number(const Check& check, const Record& record) {
  const std::string& name = check.names[0];
  if (!record.metadata.is_structured() && !record.metadata.is_string())
    return Failure{excerpt(record.metadata), "log metadata as an object"};
  if (!python_contains(record.metadata, name)) return std::nullopt;
  if (!record.metadata.is_object()) return Failure{excerpt(record.metadata), "log metadata as an object"};
  const auto number = number_of(record.metadata[name]);
  if (number && within(check.relation, *number, *number_of(check.operand))) return std::nullopt;
  return Failure{fmt::format("{} = {}", name, excerpt(record.metadata[name])), "correct the count"};
}

std::optional<Failure> check_metadata_if(const Check& check, const Record& record) {
  const Json& metadata = record.metadata;
  if (metadata.is_structured() || metadata.is_string()) {
    if (!python_contains(metadata, check.names[0]) || python_contains(metadata, check.names[1])) return std::nullopt;
  }
  return Failure{excerpt(metadata), fmt::format("add {} to the record's metadata", check.names[1])};
}

std::optional<Failure> fails_unless(bool holds, const Failure& failure) {
  return holds ? std::nullopt : std::optional(failure);
}

}  // namespace

std::string excerpt(const Json& value) {
  constexpr size_t kLongest = 80;
  std::string text = json_text(value);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

std::optional<Number> evaluate(const Expression& expression, const Record& record, const WalkState& state) {
  return expression.evaluate([&](const std::string& name) -> std::optional<Number> {
    if (name == "value") return python_number(record.value);
    const auto found = state.remembered.find(name);
    return found == state.remembered.end() ? std::nullopt : python_number(found->second);
  });
}

std::optional<Failure> check_record(const Check& check, const Record& record, const WalkState& state) {
  const Json& value = record.value;
  const auto number = number_of(value);
  switch (check.kind) {
    case CheckKind::present:
      return std::nullopt;  // a record without a value is none for the reader
    case CheckKind::non_empty:
      return fails_unless(value != "", {"an empty text", "fill it in"});
    case CheckKind::one_of:
      for (const Json& allowed : check.operand)
        if (python_equal(value, allowed)) return std::nullopt;
      return choice_failure(check, value);
    case CheckKind::equals:
      // NaN equals nothing here; python_equal sees containers' elements, where it equals itself.
      if (python_equal(value, check.operand) && !(number && std::isnan(*number))) return std::nullopt;
      return equality_failure(check, record);
    case CheckKind::above:
    case CheckKind::at_least:
    case CheckKind::below:
    case CheckKind::at_most:
      return fails_unless(number && within(check.kind, *number, *number_of(check.operand)),
                          bound_failure(check, value));
    case CheckKind::whole_number:
      return fails_unless(number && std::isfinite(*number) && std::abs(std::nearbyint(*number) - *number) < 0.00001L,
                          {excerpt(value), "log a whole number, not text or a fraction"});
    case CheckKind::equals_expression:
      return check_expression(check, record, state);
    case CheckKind::after:
      return fails_unless(state.earliest.count(check.names[0]) == 1,
                          {fmt::format("no {} before it", check.names[0]),
                           fmt::format("log {} before {}", check.names[0], record.key)});
    case CheckKind::not_after:
      return fails_unless(
          state.earliest.count(check.names[0]) == 0,
          {fmt::format("{} came first", check.names[0]), fmt::format("log {} before {}", record.key, check.names[0])});
    case CheckKind::elapsed_below:
      return check_elapsed(check, record, state);
    case CheckKind::metadata_any_of:
      return fails_unless(
          std::any_of(check.names.begin(), check.names.end(),
                      [&](const std::string& name) { return python_contains(record.metadata, name); }),
          {excerpt(record.metadata), fmt::format("add {} to the record's metadata", fmt::join(check.names, " or "))});
    case CheckKind::metadata_if:
      return check_metadata_if(check, record);
    case CheckKind::metadata_number:
      return check_metadata_number(check, record);
  }
  throw Error("a rule's check has no kind");
}

}  // namespace timetrial::mllog
