// Expression: recursive descent into a postfix program, run on a small stack.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/expression.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "timetrial/base/error.h"

namespace timetrial::mllog {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : text_(text) { result_.text_ = text; }

  Expression run() {
    sum();
    blanks();
    if (at_ != text_.size()) fail("an operator");
    return std::move(result_);
  }

 private:
  using Op = Expression::Op;

  [[noreturn]] void fail(const char* wanted) const {
    throw Error(fmt::format("rule expression \"{}\": {} expected at column {}", text_, wanted, at_ + 1));
  }
  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(char c) {
    blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void emit(Op op) { result_.steps_.push_back({op, {}, {}}); }

  void sum() {
    constexpr int kDeepest = 100;
    if (++depth_ > kDeepest) fail("fewer parentheses");
    product();
    while (true) {
      if (accept('+')) {
        product();
        emit(Op::add);
      } else if (accept('-')) {
        product();
        emit(Op::subtract);
      } else {
        --depth_;
        return;
      }
    }
  }

  void product() {
    factor();
    while (true) {
      if (accept('*')) {
        factor();
        emit(Op::multiply);
      } else if (accept('/')) {
        factor();
        emit(Op::divide);
      } else {
        return;
      }
    }
  }

  void factor() {
    if (accept('-')) {
      if (accept('-')) fail("one minus");
      factor();
      emit(Op::negate);
    } else if (accept('(')) {
      sum();
      if (!accept(')')) fail("')'");
    } else {
      blanks();
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (std::isdigit(static_cast<unsigned char>(c))) {
        number();
      } else if (std::isalpha(static_cast<unsigned char>(c))) {
        word();
      } else {
        fail("a number, a name or '('");
      }
    }
  }

  void number() {
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("a number");
    const auto length = static_cast<size_t>(end - (text_.data() + at_));
    const bool whole = text_.substr(at_, length).find_first_not_of("0123456789") == std::string_view::npos;
    at_ += length;
    result_.steps_.push_back({Op::number, {value, whole}, {}});
  }

  void word() {
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    const std::string name(text_.substr(start, at_ - start));
    if (!accept('(')) {
      result_.steps_.push_back({Op::name, {}, name});
      return;
    }
    static const std::map<std::string, Op> functions = {
        {"ceil", Op::ceil}, {"floor", Op::floor}, {"sqrt", Op::sqrt}, {"abs", Op::abs}, {"round", Op::round}};
    const auto function = functions.find(name);
    if (function == functions.end()) fail("ceil, floor, sqrt, abs or round before '('");
    sum();
    Number decimals;
    if (function->second == Op::round) {
      if (!accept(',')) fail("',' and the decimals");
      blanks();
      number();
      decimals = result_.steps_.back().number;
      result_.steps_.pop_back();
      constexpr long double kMostDecimals = 30;
      if (!decimals.whole || decimals.value > kMostDecimals) fail("a whole number of decimals");
    }
    if (!accept(')')) fail("')'");
    result_.steps_.push_back({function->second, decimals, {}});
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  Expression result_;
};

Expression Expression::parse(std::string_view text) { return ExpressionParser(text).run(); }

std::vector<std::string> Expression::names() const {
  std::vector<std::string> found;
  for (const Step& step : steps_)
    if (step.op == Op::name) found.push_back(step.name);
  return found;
}

namespace {

Number of_double(double value) { return {value, false}; }
double as_double(const Number& number) { return static_cast<double>(number.value); }

template <class Operation>
Number combined(const Number& left, const Number& right, Operation operation) {
  if (left.whole && right.whole) return {operation(left.value, right.value), true};
  return of_double(operation(as_double(left), as_double(right)));
}

// Half to even in decimal, as Python's round() with decimals.
double rounded(double value, int decimals) {
  return std::strtod(fmt::format("{:.{}f}", value, decimals).c_str(), nullptr);
}

}  // namespace

std::optional<Number> Expression::evaluate(const Lookup& lookup) const {
  std::vector<Number> stack;
  const auto pop = [&] {
    const Number top = stack.back();
    stack.pop_back();
    return top;
  };
  for (const Step& step : steps_) {
    switch (step.op) {
      case Op::number:
        stack.push_back(step.number);
        break;
      case Op::name: {
        const std::optional<Number> value = lookup(step.name);
        if (!value) return std::nullopt;
        stack.push_back(*value);
        break;
      }
      case Op::add: {
        const Number right = pop();
        stack.back() = combined(stack.back(), right, [](auto a, auto b) { return a + b; });
        break;
      }
      case Op::subtract: {
        const Number right = pop();
        stack.back() = combined(stack.back(), right, [](auto a, auto b) { return a - b; });
        break;
      }
      case Op::multiply: {
        const Number right = pop();
        stack.back() = combined(stack.back(), right, [](auto a, auto b) { return a * b; });
        break;
      }
      case Op::divide: {
        const Number right = pop();
        if (right.value == 0) return std::nullopt;
        stack.back() = of_double(as_double(stack.back()) / as_double(right));
        break;
      }
      case Op::negate:
        stack.back().value = -stack.back().value;
        break;
      case Op::ceil:
      case Op::floor:
        if (!std::isfinite(stack.back().value)) return std::nullopt;
        stack.back() = {step.op == Op::ceil ? std::ceil(stack.back().value) : std::floor(stack.back().value), true};
        break;
      case Op::sqrt:
        if (stack.back().value < 0) return std::nullopt;
        stack.back() = of_double(std::sqrt(as_double(stack.back())));
        break;
      case Op::abs:
        stack.back().value = std::abs(stack.back().value);
        break;
      case Op::round:
        if (!std::isfinite(stack.back().value)) return std::nullopt;
        stack.back() = of_double(rounded(as_double(stack.back()), static_cast<int>(step.number.value)));
        break;
    }
  }
  return stack.back();
}

}  // namespace timetrial::mllog
