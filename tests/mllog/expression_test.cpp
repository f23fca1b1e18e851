// Arithmetic of rule files, with the formulas that MLPerf's rules need.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/expression.h"

#include <gtest/gtest.h>

#include <map>

#include "timetrial/base/error.h"

namespace timetrial::mllog {
namespace {

std::optional<double> value_of(const std::string& text, const std::map<std::string, double>& names = {}) {
  const auto number = Expression::parse(text).evaluate([&](const std::string& name) {
    const auto found = names.find(name);
    return found == names.end() ? std::nullopt : std::optional(Number{found->second, false});
  });
  return number ? std::optional(static_cast<double>(number->value)) : std::nullopt;
}

TEST(RuleExpression, PrecedenceAndOrder) {
  EXPECT_EQ(value_of("1 + 2 * 3"), 7);
  EXPECT_EQ(value_of("(1 + 2) * 3"), 9);
  EXPECT_EQ(value_of("10 - 4 - 3"), 3);
  EXPECT_EQ(value_of("16 / 4 / 2"), 2);
  EXPECT_EQ(value_of("-2 * -3"), 6);
  EXPECT_EQ(value_of("2 - -3"), 5);
  EXPECT_EQ(value_of("1.5e3"), 1500);
  EXPECT_EQ(value_of("ceil(7 / 2) + sqrt(16) + abs(1 - 3)"), 10);
}

TEST(RuleExpression, FormulasOfTheBenchmarks) {
  EXPECT_EQ(value_of("1200000 - warmup", {{"warmup", 128}}), 1199872);
  EXPECT_EQ(value_of("ceil(1200000 * 1152 / batch) - ceil(8000 * 1152 / batch)", {{"batch", 1280}}), 1080000 - 7200);
  // The rule is exact in doubles: left to right, no folding of 8e-5 / 1152.
  EXPECT_EQ(value_of("batch * 8e-5", {{"batch", 6912}}), 6912 * 8e-5);
  EXPECT_DOUBLE_EQ(*value_of("2.4e-05 * sqrt(batch / 16384)", {{"batch", 16384}}), 2.4e-5);
}

TEST(RuleExpression, FloorAndDecimals) {
  EXPECT_EQ(value_of("floor(0.0026 * batch + 12)", {{"batch", 1152}}), 14);
  EXPECT_EQ(value_of("round(8e-5 * 1280 / 1152, 8)"), 8.889e-5);
  EXPECT_EQ(value_of("round(2.5, 0)"), 2);
  EXPECT_EQ(value_of("round(-0.125, 2)"), -0.12);
}

// As in Python, whole numbers are exact where doubles are not.
TEST(RuleExpression, WholeNumbersAreExact) {
  const int64_t odd = (int64_t{1} << 53) + 1;
  const auto exact = [&](const std::string& text, bool whole) {
    return Expression::parse(text).evaluate([&](const std::string&) { return Number{odd, whole}; });
  };
  EXPECT_EQ(exact("x + 0", true)->value, static_cast<long double>(odd));
  EXPECT_EQ(exact("x + 0", false)->value, static_cast<long double>(odd - 1));
  EXPECT_TRUE(exact("ceil(x / 2)", true)->whole);
  EXPECT_FALSE(exact("x / 1", true)->whole);
  EXPECT_FALSE(exact("x * 1.0", true)->whole);
}

TEST(RuleExpression, NothingWherePythonWouldRaise) {
  EXPECT_EQ(value_of("1 / (2 - 2)"), std::nullopt);
  EXPECT_EQ(value_of("1 + unknown"), std::nullopt);
  EXPECT_EQ(value_of("sqrt(0 - 1)"), std::nullopt);
  EXPECT_EQ(value_of("ceil(x)", {{"x", 1e308 * 10}}), std::nullopt);
}

TEST(RuleExpression, NamesAreListed) {
  EXPECT_EQ(Expression::parse("value * 2 - a / b_1").names(), (std::vector<std::string>{"value", "a", "b_1"}));
}

TEST(RuleExpression, NonsenseIsABugInTheData) {
  for (const char* text :
       {"", "1 +", "(1", "1 2", "sine(1)", "round(1)", "round(1, 2.5)", "round(1, x)", "1)", "a b", "$", "ceil(1"})
    EXPECT_THROW(Expression::parse(text), Error) << text;
}

}  // namespace
}  // namespace timetrial::mllog
