// Every kind of check: what holds, what fails, what is said.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/check_record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "timetrial/base/error.h"
#include "timetrial/mllog/check.h"

namespace timetrial::mllog {
namespace {

const Json kNan = std::numeric_limits<double>::quiet_NaN();
const Json kInfinity = std::numeric_limits<double>::infinity();

Check parsed(const Json& check) {
  const Json file = {{"name", "n"},
                     {"about", "a"},
                     {"keys", {{{"key", "k"}, {"occurrence", "optional"}, {"checks", Json::array({check})}}}}};
  return parse_rules(file).keys.at(0).checks.at(0);
}

Record record_of(const Json& value, const Json& metadata = Json::object()) {
  Record record;
  record.line = 1;
  record.time_ms = 5000;
  record.key = "k";
  record.value = value;
  record.metadata = metadata;
  return record;
}

bool holds(const Json& check, const Record& record, const WalkState& state = {}) {
  const auto failure = check_record(parsed(check), record, state);
  if (failure) {
    EXPECT_FALSE(failure->found.empty()) << check;
    EXPECT_FALSE(failure->advice.empty()) << check;
  }
  return !failure;
}

void expect_values(const Json& check, const std::vector<Json>& good, const std::vector<Json>& bad) {
  for (const Json& value : good) EXPECT_TRUE(holds(check, record_of(value))) << check << " " << value;
  for (const Json& value : bad) EXPECT_FALSE(holds(check, record_of(value))) << check << " " << value;
}

TEST(CheckKinds, Values) {
  expect_values({{"present", true}}, {nullptr, false, 0, ""}, {});
  expect_values({{"non_empty", true}}, {"a", nullptr, 0, Json::array(), " "}, {""});
  expect_values({{"one_of", {"closed", "open"}}}, {"closed", "open"},
                {"Closed", "", nullptr, 1, Json::array({"closed"})});
  expect_values({{"equals", 8192}}, {8192, 8192.0}, {8193, "8192", nullptr, true, kNan, 8192.0000001});
  expect_values({{"equals", 1}}, {1, 1.0, true}, {0, false, "1"});
  expect_values({{"equals", 1e-5}}, {1e-05, 0.00001}, {1e-8, "1e-05"});
  expect_values({{"equals", "adamw"}}, {"adamw"}, {"AdamW", "adamw ", nullptr, 0});
  expect_values({{"above", 0}}, {1, 1e-9, true, kInfinity}, {0, -1, "1", nullptr, kNan, Json::array({1})});
  expect_values({{"at_least", 15360}}, {15360, 15360.5}, {15359, "15360", kNan});
  expect_values({{"below", 2}}, {1.9, -5}, {2, 3, kNan, nullptr});
  expect_values({{"at_most", 3.34}}, {3.34, 0, -1}, {3.3400000000000003, "3", kNan});
  expect_values({{"whole_number", true}}, {1, 2.0, true, 2.000009, -3}, {2.5, 2.00002, "2", nullptr, kNan, kInfinity});
}

TEST(CheckKinds, IntegersBeyondDoublesCompareExactly) {
  const int64_t odd = (int64_t{1} << 53) + 1;
  expect_values({{"equals", odd}}, {odd}, {odd - 1, static_cast<double>(odd - 1)});
}

TEST(CheckKinds, Expressions) {
  WalkState state;
  state.remembered["warmup"] = 128;
  const Json rule = {{"equals_expression", {{"expression", "1200000 - warmup"}}}};
  EXPECT_TRUE(holds(rule, record_of(1199872), state));
  EXPECT_TRUE(holds(rule, record_of(1199872.0), state));
  for (const Json& bad : {Json(1199873), Json("1199872"), Json(nullptr), kNan})
    EXPECT_FALSE(holds(rule, record_of(bad), state));
  EXPECT_FALSE(holds(rule, record_of(1199872)));  // nothing remembered
  EXPECT_NE(check_record(parsed(rule), record_of(1199872), {})->advice.find("log warmup before k"), std::string::npos);
  EXPECT_NE(check_record(parsed(rule), record_of(5), state)->advice.find("1199872"), std::string::npos);
  state.remembered["warmup"] = "128";
  EXPECT_FALSE(holds(rule, record_of(1199872), state));

  state.remembered["batch"] = 1280;
  const Json exact = {{"equals_expression", {{"of", "value * 1152"}, {"expression", "batch * 8e-5"}}}};
  EXPECT_TRUE(holds(exact, record_of(8e-5 * 1280 / 1152), state));
  EXPECT_FALSE(holds(exact, record_of(8.889e-5), state));
  EXPECT_FALSE(holds(exact, record_of(std::nextafter(8e-5 * 1280 / 1152, 1.0)), state));
  const Json near = {{"equals_expression", {{"expression", "2.4e-05 * sqrt(batch / 1280)"}, {"tolerance", 1e-9}}}};
  EXPECT_TRUE(holds(near, record_of(2.40005e-5), state));
  EXPECT_FALSE(holds(near, record_of(2.4002e-5), state));
}

TEST(CheckKinds, Order) {
  WalkState state;
  state.earliest["init_start"] = 0;
  EXPECT_TRUE(holds({{"after", "init_start"}}, record_of(1), state));
  EXPECT_FALSE(holds({{"after", "run_start"}}, record_of(1), state));
  EXPECT_TRUE(holds({{"not_after", "run_start"}}, record_of(1), state));
  EXPECT_FALSE(holds({{"not_after", "init_start"}}, record_of(1), state));
}

TEST(CheckKinds, ElapsedTimeIsStrictlyBelowTheLimit) {
  const Json rule = {{"elapsed_below", {{"since", "init_start"}, {"minutes", "limit"}}}};
  WalkState state;
  state.remembered["limit"] = 30;
  state.earliest["init_start"] = 1000;
  Record record = record_of(nullptr);
  record.time_ms = 1000 + 1799999;
  EXPECT_TRUE(holds(rule, record, state));
  record.time_ms = 1000 + 1800000;
  EXPECT_FALSE(holds(rule, record, state));
  EXPECT_EQ(check_record(parsed(rule), record, state)->found, "1800.000 s after it, the limit is 1800 s");
  state.remembered["limit"] = 240;
  EXPECT_TRUE(holds(rule, record, state));
  state.remembered["limit"] = 0;
  record.time_ms = 1000;
  EXPECT_FALSE(holds(rule, record, state));
  EXPECT_NE(check_record(parsed(rule), record, state)->advice.find("submission_division"), std::string::npos);
  record.time_ms = std::nan("");
  EXPECT_FALSE(holds(rule, record, state));
  EXPECT_TRUE(holds(rule, record_of(nullptr), [] {
    WalkState no_start;
    no_start.remembered["limit"] = 0;
    return no_start;
  }()));
}

TEST(CheckKinds, Metadata) {
  const Json any = {{"metadata_any_of", {"epoch_num", "samples_count"}}};
  for (const Json& good : {Json{{"samples_count", nullptr}}, Json{{"epoch_num", 1}}, Json::array({"epoch_num"}),
                           Json("the samples_count")})
    EXPECT_TRUE(holds(any, record_of(1, good))) << good;
  for (const Json& bad : {Json::object(), Json(nullptr), Json(5), Json::array({1}), Json("samples")})
    EXPECT_FALSE(holds(any, record_of(1, bad))) << bad;

  const Json needs = {{"metadata_if", {{"has", "epoch_count"}, {"needs", "first_epoch_num"}}}};
  EXPECT_TRUE(holds(needs, record_of(1)));
  EXPECT_TRUE(holds(needs, record_of(1, {{"epoch_count", 1}, {"first_epoch_num", 1}})));
  EXPECT_FALSE(holds(needs, record_of(1, {{"epoch_count", 1}})));
  EXPECT_FALSE(holds(needs, record_of(1, nullptr)));

  const Json number = {{"metadata_number", {{"name", "samples_count"}, {"at_least", 0}}}};
  EXPECT_TRUE(holds(number, record_of(1)));
  EXPECT_TRUE(holds(number, record_of(1, {{"samples_count", 0}})));
  for (const Json& bad : {Json{{"samples_count", -1}}, Json{{"samples_count", "1"}}, Json{{"samples_count", nullptr}},
                          Json(nullptr), Json::array({"samples_count"})})
    EXPECT_FALSE(holds(number, record_of(1, bad))) << bad;
}

TEST(CheckKinds, AdviceNamesTheNearestChoiceAndTheBareNumber) {
  const auto benchmark = check_record(parsed({{"one_of", {"gpt_oss_20b", "flux1"}}}), record_of("gpt-oss-20b"), {});
  EXPECT_EQ(benchmark->advice, "write \"gpt_oss_20b\"");
  const auto text = check_record(parsed({{"equals", 8192}}), record_of("8192"), {});
  EXPECT_EQ(text->found, "\"8192\"");
  EXPECT_EQ(text->advice, "log the bare number 8192");
}

TEST(RuleFiles, AnythingUnknownIsRefused) {
  const Json good = {{"name", "n"}, {"about", "a"}, {"keys", {{{"key", "k"}, {"occurrence", "exactly_one"}}}}};
  EXPECT_NO_THROW(parse_rules(good));
  const auto with_rule = [&](const Json& rule) {
    Json file = good;
    file["keys"][0].update(rule);
    return file;
  };
  EXPECT_THROW(parse_rules(with_rule({{"chekcs", Json::array()}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"is_equal", 1}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"equals", 1}, {"above", 0}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"present", false}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"some_record", {{{"after", "x"}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"occurrence", {{"at_most", 2}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"remarks", {{{"check", {{"equals", 1}}}, {"advice", "x"}}}}})),
               Error);  // "rule" is missing
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"above", "0"}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"one_of", "closed"}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"checks", {{{"metadata_number", {{"name", "n"}, {"equals", 1}}}}}}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"then_rules", "closed"}})), Error);
  EXPECT_THROW(parse_rules(with_rule({{"key", 5}})), Error);
  Json twice = good;
  twice["keys"].push_back(twice["keys"][0]);
  EXPECT_THROW(parse_rules(twice), Error);
  Json extra = good;
  extra["notes"] = "";
  EXPECT_THROW(parse_rules(extra), Error);
}

TEST(RuleFiles, BothRulesetsAreCarriedWholeAndOthersAreNamed) {
  EXPECT_EQ(known_rulesets(), (std::vector<std::string>{"5.1.0", "6.0.0"}));
  const std::map<std::string, size_t> benchmarks = {{"5.1.0", 7}, {"6.0.0", 7}};
  for (const auto& [version, count] : benchmarks) {
    const Ruleset ruleset = load_ruleset(version);
    EXPECT_EQ(benchmarks_of(ruleset).size(), count) << version;
    for (const std::string& benchmark : benchmarks_of(ruleset))
      for (const char* division : {"closed_", "open_"})
        EXPECT_EQ(ruleset.files.count(division + benchmark), 1u) << version << " " << division << benchmark;
    for (const char* name : {"common", "closed_common", "open_common"}) EXPECT_EQ(ruleset.files.count(name), 1u);
  }
  EXPECT_EQ(load_ruleset("6.0.0").files.at("closed_gpt_oss_20b").evaluate_every_samples, 12288);
  try {
    load_ruleset("4.1.0");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "ruleset \"4.1.0\" is not in this program; it has 5.1.0, 6.0.0");
  }
}

}  // namespace
}  // namespace timetrial::mllog
