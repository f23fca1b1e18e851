// Errors, shapes, JSON errors with places, nearest words, hashes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "timetrial/base/dtype.h"
#include "timetrial/base/error.h"
#include "timetrial/base/identity.h"
#include "timetrial/base/json.h"
#include "timetrial/base/shape.h"

namespace timetrial {
namespace {

TEST(Error, KnowsWhereItWasRaised) {
  set_thread_rank(3);
  const Error error("broken");
  set_thread_rank(0);
  EXPECT_STREQ(error.what(), "broken");
  EXPECT_NE(error.where().find("base_test.cpp:"), std::string::npos);
  EXPECT_NE(error.where().find(host_name()), std::string::npos);
}

TEST(Error, CheckNamesConditionAndNumbers) {
  const int tp = 8, heads = 12;
  try {
    TIMETRIAL_CHECK(heads % tp == 0, "{} does not divide {} heads", tp, heads);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "check failed: heads % tp == 0: 8 does not divide 12 heads");
  }
}

TEST(Error, ConfigErrorIsAUserErrorWithItsPath) {
  const ConfigError error("/parallel/tp", "8 does not divide 12 heads");
  EXPECT_STREQ(error.what(), "/parallel/tp: 8 does not divide 12 heads");
  EXPECT_EQ(error.path(), "/parallel/tp");
  EXPECT_NE(dynamic_cast<const UserError*>(&error), nullptr);
}

TEST(Shape, CountsAndPrints) {
  const Shape shape{4, 0, 3};
  EXPECT_EQ(shape.elements(), 0);
  EXPECT_EQ(shape.text(), "(4, 0, 3)");
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_THROW(shape[3], Error);
  EXPECT_THROW((Shape{1, -1}), Error);
  EXPECT_THROW((Shape{1, 2, 3, 4, 5}), Error);
}

TEST(DType, OfficialNames) {
  EXPECT_EQ(mllog_name_of(DType::bf16), "bfloat16");  // "bf16" fails the official checker
  EXPECT_EQ(mllog_name_of(DType::f32), "fp32");
  EXPECT_THROW(mllog_name_of(DType::i32), Error);
}

TEST(Json, SyntaxErrorHasLineAndColumn) {
  try {
    parse_json("{\"a\": 1,\n  oops}", "x.json");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "x.json: not valid JSON at line 2, column 3");
  }
  EXPECT_THROW(parse_json("", "x.json"), UserError);
  EXPECT_THROW(read_json_file("/nowhere/x.json"), UserError);
}

std::string refusal(const std::string& text) {
  try {
    parse_json(text, "x.json");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Json, NumberThatNoDoubleHoldsIsTheUsers) {
  EXPECT_EQ(refusal("{\"a\": -1e999}"), "x.json: -1e999 is too large for a number of 64 bits; write a smaller one");
  EXPECT_EQ(refusal(std::string(400, '9')),
            "x.json: " + std::string(40, '9') + "... is too large for a number of 64 bits; write a smaller one");
  EXPECT_EQ(refusal("1e308"), "accepted");
}

TEST(Json, DeepNestingIsRefusedBeforeItIsParsed) {
  const auto nested = [](size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  EXPECT_EQ(refusal(nested(200)), "accepted");
  EXPECT_EQ(refusal("\n" + nested(201)),
            "x.json: nested more than 200 levels deep at line 2, column 201; is it the right file?");
  EXPECT_NE(refusal(std::string(1 << 22, '[')), "accepted");
  EXPECT_EQ(refusal("[\"" + std::string(300, '{') + "\\\"[\"]"), "accepted") << "brackets in a text are no levels";
}

TEST(Json, HashDependsOnEveryByte) {
  EXPECT_EQ(hash_text("abc").size(), 32U);
  EXPECT_NE(hash_text("abc"), hash_text("abd"));
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");  // XXH3-128 of nothing, from the xxHash specification
}

TEST(NearestWord, FindsTyposAndKeepsQuietOtherwise) {
  const std::vector<std::string> keys{"train.seed", "train.max_steps", "output.folder"};
  EXPECT_EQ(nearest_word("train.sede", keys), "train.seed");
  EXPECT_EQ(nearest_word("train.maxsteps", keys), "train.max_steps");
  EXPECT_EQ(nearest_word("zzzzzzzz", keys), "");
  EXPECT_EQ(nearest_word("x", {}), "");
}

}  // namespace
}  // namespace timetrial
