// Expression: recursive descent into a postfix program, run on a small stack.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/expression.h"

#include <cctype>
#include <charconv>
#include <cmath>
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
  void emit(Op op) { result_.steps_.push_back({op, 0, {}}); }

  void sum() {
    product();
    while (true) {
      if (accept('+')) {
        product();
        emit(Op::add);
      } else if (accept('-')) {
        product();
        emit(Op::subtract);
      } else {
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
    at_ = static_cast<size_t>(end - text_.data());
    result_.steps_.push_back({Op::number, value, {}});
  }

  void word() {
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    const std::string name(text_.substr(start, at_ - start));
    if (!accept('(')) {
      result_.steps_.push_back({Op::name, 0, name});
      return;
    }
    if (name != "ceil" && name != "sqrt" && name != "abs") fail("ceil, sqrt or abs before '('");
    sum();
    if (!accept(')')) fail("')'");
    emit(name == "ceil" ? Op::ceil : name == "sqrt" ? Op::sqrt : Op::abs);
  }

  std::string_view text_;
  size_t at_ = 0;
  Expression result_;
};

Expression Expression::parse(std::string_view text) { return ExpressionParser(text).run(); }

std::vector<std::string> Expression::names() const {
  std::vector<std::string> found;
  for (const Step& step : steps_)
    if (step.op == Op::name) found.push_back(step.name);
  return found;
}

std::optional<double> Expression::evaluate(const Lookup& lookup) const {
  std::vector<double> stack;
  const auto pop = [&] {
    const double top = stack.back();
    stack.pop_back();
    return top;
  };
  for (const Step& step : steps_) {
    switch (step.op) {
      case Op::number:
        stack.push_back(step.number);
        break;
      case Op::name: {
        const std::optional<double> value = lookup(step.name);
        if (!value) return std::nullopt;
        stack.push_back(*value);
        break;
      }
      case Op::add: {
        const double right = pop();
        stack.back() += right;
        break;
      }
      case Op::subtract: {
        const double right = pop();
        stack.back() -= right;
        break;
      }
      case Op::multiply: {
        const double right = pop();
        stack.back() *= right;
        break;
      }
      case Op::divide: {
        const double right = pop();
        if (right == 0) return std::nullopt;
        stack.back() /= right;
        break;
      }
      case Op::negate:
        stack.back() = -stack.back();
        break;
      case Op::ceil:
        if (!std::isfinite(stack.back())) return std::nullopt;
        stack.back() = std::ceil(stack.back());
        break;
      case Op::sqrt:
        if (stack.back() < 0) return std::nullopt;
        stack.back() = std::sqrt(stack.back());
        break;
      case Op::abs:
        stack.back() = std::abs(stack.back());
        break;
    }
  }
  return stack.back();
}

}  // namespace timetrial::mllog
