// Expression: the arithmetic that rule files may use, e.g. "1200000 - opt_learning_rate_warmup_steps".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial::mllog {

// A number as Python has it: whole ones are exact and stay whole under + - *; everything else is a double. The wide
// type holds every 64-bit integer where long double has 64 bits of mantissa or more.
struct Number {
  long double value = 0;
  bool whole = false;
};

// Numbers, names, + - * / with the usual precedence, unary minus, parentheses, ceil(x), floor(x), sqrt(x), abs(x) and
// round(x, decimals), left to right. Immutable after parsing, so thread-safe.
class Expression {
 public:
  // Throws Error naming the text and the column where it stops making sense.
  static Expression parse(std::string_view text);

  // The value of a name, or nothing when it has none or is no number.
  using Lookup = std::function<std::optional<Number>(const std::string& name)>;

  // Nothing where Python would raise: a name without a number, division by zero, the ceiling or floor of NaN or
  // infinity. Nothing too for the root of a negative number, which is complex there.
  std::optional<Number> evaluate(const Lookup& lookup) const;

  const std::string& text() const { return text_; }
  // Names in the order they appear.
  std::vector<std::string> names() const;

 private:
  friend class ExpressionParser;
  enum class Op { number, name, add, subtract, multiply, divide, negate, ceil, floor, sqrt, abs, round };
  struct Step {
    Op op;
    Number number = {};  // number; of round the decimals
    std::string name;
  };
  std::string text_;
  std::vector<Step> steps_;  // postfix
};

}  // namespace timetrial::mllog
