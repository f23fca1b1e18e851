// The walk over records: occurrences, files that replace rules, last words, the odder rules of other benchmarks.
// SPDX-License-Identifier: Apache-2.0
#include "mllog/rule_engine.h"

#include <gtest/gtest.h>

#include <cmath>

namespace timetrial::mllog {
namespace {

Record record(int64_t line, const std::string& key, const Json& value, const Json& metadata = Json::object()) {
  Record made;
  made.line = line;
  made.time_ms = static_cast<double>(1000 * line);
  made.key = key;
  made.value = value;
  made.metadata = metadata;
  return made;
}

Ruleset rules(const std::vector<std::pair<std::string, Json>>& files) {
  Ruleset ruleset;
  ruleset.version = "0";
  for (const auto& [name, keys] : files)
    ruleset.files.emplace(name, parse_rules({{"name", name}, {"about", ""}, {"keys", keys}}));
  return ruleset;
}

std::vector<std::string> failing(const Judgement& judgement) {
  std::vector<std::string> keys;
  for (const auto& [key, finding] : judgement.errors) keys.push_back(key);
  for (const Finding& finding : judgement.lasting) keys.push_back(finding.key);
  return keys;
}

using Keys = std::vector<std::string>;

TEST(RuleEngine, ExactlyOne) {
  const Ruleset ruleset = rules({{"common", {{{"key", "a"}, {"occurrence", "exactly_one"}}}}});
  EXPECT_EQ(failing(apply_rules({}, ruleset)), Keys{"a"});
  EXPECT_EQ(failing(apply_rules({record(1, "a", 1)}, ruleset)), Keys{});
  const Judgement twice = apply_rules({record(1, "a", 1), record(2, "a", 1.0)}, ruleset);
  EXPECT_EQ(failing(twice), Keys{});
  ASSERT_EQ(twice.warnings.count("a"), 1u);
  EXPECT_EQ(twice.warnings.at("a").severity, Severity::warning);
  EXPECT_EQ(twice.warnings.at("a").line, 2);
  const Judgement differing = apply_rules({record(1, "a", 1), record(2, "a", 2)}, ruleset);
  EXPECT_EQ(failing(differing), Keys{"a"});
  EXPECT_EQ(differing.errors.at("a").found, "2 records with different values: 1 on line 1, 2 here");
  EXPECT_TRUE(differing.warnings.empty());
}

TEST(RuleEngine, AtLeastAndEitherAndOptional) {
  const Ruleset ruleset = rules({{"common",
                                  {{{"key", "a"}, {"occurrence", {{"at_least", 2}}}},
                                   {{"key", "b"}, {"occurrence", {{"at_least_one_or", "c"}}}},
                                   {{"key", "c"}, {"occurrence", {{"at_least_one_or", "b"}}}},
                                   {{"key", "d"}, {"occurrence", "optional"}, {"checks", {{{"above", 0}}}}}}}});
  EXPECT_EQ(failing(apply_rules({record(1, "a", 1)}, ruleset)), (Keys{"a", "b or c"}));
  EXPECT_EQ(failing(apply_rules({record(1, "a", 1), record(2, "a", 2), record(3, "c", 1)}, ruleset)), Keys{});
  const Judgement bad =
      apply_rules({record(1, "a", 1), record(2, "a", 1), record(3, "b", 1), record(4, "d", 0)}, ruleset);
  EXPECT_EQ(failing(bad), Keys{"d"});
  EXPECT_EQ(bad.errors.at("d").line, 4);
  EXPECT_EQ(bad.seen.at("d"), 1);
}

TEST(RuleEngine, EveryRecordIsCheckedAndTheLastFailureNamed) {
  const Ruleset ruleset =
      rules({{"common", {{{"key", "a"}, {"occurrence", "at_least_one"}, {"checks", {{{"above", 0}}}}}}}});
  const Judgement judgement =
      apply_rules({record(1, "a", 0), record(2, "a", 1), record(3, "a", -1), record(4, "a", 1)}, ruleset);
  EXPECT_EQ(judgement.errors.at("a").line, 3);
  EXPECT_EQ(judgement.errors.at("a").found, "-1 (1 earlier records fail too)");
}

TEST(RuleEngine, SubmissionKeysAreCheckedOnce) {
  const Json check = {{{"equals", "x"}}};
  const Ruleset ruleset = rules({{"common",
                                  {{{"key", "submission_a"}, {"occurrence", "optional"}, {"checks", check}},
                                   {{"key", "b"}, {"occurrence", "optional"}, {"checks", check}}}}});
  EXPECT_EQ(failing(apply_rules({record(1, "submission_a", "x"), record(2, "submission_a", "y"), record(3, "b", "x"),
                                 record(4, "b", "y")},
                                ruleset)),
            Keys{"b"});
}

TEST(RuleEngine, ALaterFileReplacesRulesAndTheirFindings) {
  const Ruleset ruleset =
      rules({{"common",
              {{{"key", "kind"}, {"occurrence", "exactly_one"}, {"then_rules", "more_{}"}},
               {{"key", "n"}, {"occurrence", "exactly_one"}, {"checks", {{{"equals", 1}}}}},
               {{"key", "m"}, {"occurrence", "exactly_one"}, {"checks", {{{"equals", 1}}}}}}},
             {"more_big", {{{"key", "n"}, {"occurrence", "exactly_one"}, {"checks", {{{"equals", 2}}}}}}}});
  EXPECT_EQ(failing(apply_rules({record(1, "kind", "big"), record(2, "n", 2), record(3, "m", 2)}, ruleset)), Keys{"m"});
  EXPECT_EQ(failing(apply_rules({record(1, "kind", "big"), record(2, "n", 1), record(3, "m", 1)}, ruleset)), Keys{"n"});
  const Judgement missing = apply_rules({record(1, "kind", "odd"), record(2, "n", 1), record(3, "m", 1)}, ruleset);
  EXPECT_EQ(missing.official_dies, "ruleset 0 has no rules more_odd");
}

TEST(RuleEngine, AFileThatAsksForItselfIsAppliedOnce) {
  const Ruleset ruleset = rules({{"common", {{{"key", "kind"}, {"occurrence", "exactly_one"}, {"then_rules", "{}"}}}}});
  const Judgement judgement = apply_rules({record(1, "kind", "common")}, ruleset);
  EXPECT_EQ(judgement.applied.size(), 1u);
  EXPECT_EQ(judgement.official_dies, "the log makes it apply the rules common for ever");
}

TEST(RuleEngine, SomeRecord) {
  const Ruleset ruleset = rules({{"common",
                                  {{{"key", "loss"},
                                    {"occurrence", "at_least_one"},
                                    {"some_record", {{{"at_most", 3.34}, {"target", true}}, {{"above", 0}}}}}}}});
  EXPECT_EQ(failing(apply_rules({record(1, "loss", 9), record(2, "loss", 3.34), record(3, "loss", 4)}, ruleset)),
            Keys{});
  EXPECT_EQ(failing(apply_rules({record(1, "loss", 9), record(2, "loss", 0), record(3, "loss", -1)}, ruleset)),
            Keys{"loss"});
  // A value that is no number fails the log even when another record meets the target: the official checker dies of it.
  EXPECT_EQ(failing(apply_rules({record(1, "loss", nullptr), record(2, "loss", 3)}, ruleset)), Keys{"loss"});
}

// The other benchmarks need nothing that the format lacks: their odder rules, as data.
TEST(RuleEngine, CarriesTheRulesOfOtherBenchmarks) {
  const Json one = "exactly_one";
  const Ruleset dense =
      rules({{"common",
              {{{"key", "batch"}, {"occurrence", one}, {"remember", {{"batch", {{"value", true}}}}}},
               {{"key", "lr"},
                {"occurrence", one},
                {"checks", {{{"equals_expression", {{"of", "value * 1152"}, {"expression", "batch * 8e-5"}}}}}}},
               {{"key", "warmup"},
                {"occurrence", one},
                {"remember", {{"warmup", {{"expression", "ceil(8000 * 1152 / batch)"}}}}}},
               {{"key", "decay"},
                {"occurrence", one},
                {"checks", {{{"equals_expression", {{"expression", "ceil(1200000 * 1152 / batch) - warmup"}}}}}}}}}});
  const auto judged = [&](const Json& lr, const Json& decay) {
    return failing(apply_rules(
        {record(1, "batch", 1280), record(2, "lr", lr), record(3, "warmup", 99), record(4, "decay", decay)}, dense));
  };
  EXPECT_EQ(judged(8.888888888888889e-05, 1072800), Keys{});
  EXPECT_EQ(judged(8.889e-05, 1072800), Keys{"lr"});
  EXPECT_EQ(judged(8.888888888888889e-05, 1200000), Keys{"decay"});
  EXPECT_EQ(failing(apply_rules(
                {record(1, "lr", 8e-5), record(2, "warmup", 99), record(3, "batch", 1152), record(4, "decay", 1192000)},
                dense)),
            (Keys{"decay", "lr", "warmup"}));
}

TEST(RuleEngine, TheEarliestStartCountsNotTheFirstNorTheLast) {
  const Ruleset ruleset = load_ruleset("6.0.0");
  Record early = record(3, "init_start", nullptr), stop = record(4, "init_stop", nullptr);
  early.time_ms = 1500;
  const auto judged = [&](double stop_ms) {
    stop.time_ms = stop_ms;
    return apply_rules({record(1, "submission_division", "closed"), record(2, "init_start", nullptr), early, stop},
                       ruleset)
        .errors.count("init_stop");
  };
  EXPECT_EQ(judged(1500 + 1800e3), 1u);
  EXPECT_EQ(judged(1500 + 1799e3), 0u);
  early.time_ms = 9000;
  EXPECT_EQ(judged(2000 + 1800e3), 1u);
}

TEST(RuleEngine, RememberedChoiceSetsTheTimeLimit) {
  const Ruleset ruleset = load_ruleset("6.0.0");
  const auto judged = [&](const std::string& division) {
    Record stop = record(3, "init_stop", nullptr);
    stop.time_ms = 2000 + 3600e3;
    return apply_rules({record(1, "submission_division", division), record(2, "init_start", nullptr), stop}, ruleset)
        .errors.count("init_stop");
  };
  EXPECT_EQ(judged("closed"), 1u);
  EXPECT_EQ(judged("open"), 0u);
}

}  // namespace
}  // namespace timetrial::mllog
