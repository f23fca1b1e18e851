// check_log on whole logs: verdicts, scaled rules, remarks, unusable input.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/check.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "mllog/sample_log.h"
#include "mllog/scaling.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {
namespace {

using test::check;
using test::check_text;
using test::find;
using test::SampleLog;
using test::sound_log;
using test::TemporaryFolder;
using test::text_of;

using Keys = std::vector<std::string>;

Keys keys_of(const std::vector<Finding>& findings) {
  Keys keys;
  for (const Finding& finding : findings) keys.push_back(finding.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// A small variant: short sequences, few evaluation samples, an easier target.
SampleLog small_log() {
  SampleLog log = sound_log();
  find(log, "max_sequence_length").value = 256;
  find(log, "eval_samples").value = 32;
  for (test::SampleRecord& record : log)
    if (record.key == "eval_accuracy") record.value = record.value.get<double>() + 1.5;
  return log;
}

CheckOptions small_options() {
  CheckOptions options;
  options.scaled = std::vector<ScaledCheck>{{"max_sequence_length", "sequence length", 256},
                                            {"eval_samples", "evaluation samples", 32},
                                            {"eval_accuracy", "target", 4.9}};
  return options;
}

TEST(CheckLog, ASoundLogPasses) {
  const CheckReport report = check(sound_log());
  EXPECT_TRUE(report.passed());
  EXPECT_TRUE(report.finished);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_TRUE(report.remarks.empty());
  EXPECT_EQ(report.counts.failed, 0);
  EXPECT_EQ(report.counts.scaled, 0);
  EXPECT_EQ(report.counts.absent, 11);  // 9 optional keys, epoch_start and epoch_stop beside blocks
  EXPECT_EQ(report.verdict_sentence(),
            fmt::format("pass: {} rules hold (ruleset 6.0.0, closed gpt_oss_20b)", report.counts.passed));
}

TEST(CheckLog, FailuresNameLineRuleAndAdvice) {
  SampleLog log = sound_log();
  find(log, "max_sequence_length").value = 4096;
  test::remove(log, "train_samples");
  const CheckReport report = check(log);
  EXPECT_FALSE(report.passed());
  ASSERT_EQ(keys_of(report.errors), (Keys{"max_sequence_length", "train_samples"}));
  EXPECT_EQ(report.errors[1].line, 10);
  EXPECT_EQ(report.errors[1].rule, "equals 8192 (closed_gpt_oss_20b, 6.0.0)");
  EXPECT_EQ(report.errors[1].found, "4096");
  EXPECT_EQ(report.errors[1].advice, "set it to 8192");
  EXPECT_EQ(report.counts.failed, 2);
  EXPECT_EQ(report.verdict_sentence(),
            "fail: 2 of 31 rules broken (ruleset 6.0.0, closed gpt_oss_20b): train_samples, max_sequence_length");
}

TEST(CheckLog, EveryRuledKeyIsInOneCount) {
  const CheckReport whole = check(sound_log());
  SampleLog log = sound_log();
  find(log, "opt_name").value = "sgd";
  const CheckReport broken = check(log);
  EXPECT_EQ(broken.counts.passed, whole.counts.passed - 1);
  EXPECT_EQ(broken.counts.failed, 1);
}

TEST(CheckLog, AnUnfinishedLogIsNamedByItsLastRecord) {
  SampleLog log = sound_log();
  log.resize(28);
  const CheckReport report = check(log);
  EXPECT_FALSE(report.finished);
  EXPECT_FALSE(report.passed());
  EXPECT_EQ(report.verdict_sentence(),
            "unfinished: no run_stop; the last record is block_stop on line 28 (ruleset 6.0.0, closed gpt_oss_20b)");
  EXPECT_EQ(report.to_json()["verdict"], "unfinished");
}

TEST(CheckLog, UnreadableRecordsFailTheLogAndAreListed) {
  const CheckReport report = check_text(text_of(sound_log()) + ":::MLLOG {\"key\n");
  ASSERT_EQ(keys_of(report.errors), Keys{"log"});
  EXPECT_EQ(report.errors[0].line, 38);
  std::string many = text_of(sound_log());
  for (int i = 0; i < 100; ++i) many += ":::MLLOG x\n";
  EXPECT_EQ(check_text(many).errors.size(), 21u);
  EXPECT_EQ(check_text(many).counts.failed, 1);
}

TEST(CheckLog, DeclaredScalingPassesAndIsNamed) {
  const CheckReport report = check(small_log(), small_options());
  EXPECT_TRUE(report.passed()) << report.verdict_sentence();
  EXPECT_EQ(report.counts.scaled, 3);
  EXPECT_FALSE(report.scaled_from_log);
  ASSERT_EQ(report.scaled.size(), 3u);
  EXPECT_EQ(report.scaled[0].full_rule, "equals 8192");
  EXPECT_EQ(report.scaled[2].full_rule, "is at most 3.34 and is above 0");
  EXPECT_EQ(report.verdict_sentence(),
            fmt::format("pass, 3 scaled: max_sequence_length, eval_samples, eval_accuracy; {} rules hold as they are "
                        "(ruleset 6.0.0, closed gpt_oss_20b); a small variant: not an MLPerf result",
                        report.counts.passed));
  EXPECT_EQ(report.to_json()["verdict"], "pass_scaled");
  EXPECT_TRUE(report.remarks.empty());
}

// Rules scale what a log says of the run; a model with other layers holds them all.
TEST(CheckLog, AnotherVariantThanTheFullOneIsNoResult) {
  SampleLog log = sound_log();
  const auto variant = log.insert(log.end() - 1, {"timetrial_variant", "custom"});
  const CheckReport custom = check(log);
  EXPECT_TRUE(custom.passed()) << custom.verdict_sentence();
  EXPECT_TRUE(custom.small_variant);
  EXPECT_EQ(custom.verdict_sentence(),
            fmt::format("pass: {} rules hold (ruleset 6.0.0, closed gpt_oss_20b); variant custom: not an MLPerf result",
                        custom.counts.passed));
  EXPECT_EQ(custom.to_json()["verdict"], "pass_variant");
  EXPECT_EQ(custom.to_json()["variant"], "custom");
  EXPECT_EQ(custom.to_json()["small_variant"], true);
  for (const Json& odd : {Json(nullptr), Json(1), Json::array({"full"}), Json("Full")}) {
    variant->value = odd;
    EXPECT_TRUE(check(log).small_variant) << odd;
  }
  variant->value = "full";
  const CheckReport full = check(log);
  EXPECT_FALSE(full.small_variant);
  EXPECT_EQ(full.verdict_sentence(),
            fmt::format("pass: {} rules hold (ruleset 6.0.0, closed gpt_oss_20b)", full.counts.passed));
  EXPECT_EQ(full.to_json()["verdict"], "pass");
  log.insert(log.end() - 1, {"timetrial_variant", "small"});
  log.insert(log.end() - 1, {"timetrial_variant", "full"});
  EXPECT_TRUE(check(log).small_variant) << "the last record hides the one before";
  EXPECT_FALSE(check(sound_log()).small_variant) << "another program's log";
}

// A small variant evaluates when it likes: the benchmark's schedule is no yardstick for it.
TEST(CheckLog, AScaledLogIsNotHeldToTheSchedule) {
  SampleLog log = small_log();
  for (test::SampleRecord& record : log)
    if (record.key == "eval_accuracy") record.metadata["samples_count"] = 320;
  EXPECT_EQ(keys_of(check(log, small_options()).remarks), Keys{});
}

TEST(CheckLog, ScalingReplacesLimitsOnTheValueAndNothingElse) {
  Ruleset full;
  full.files.emplace(
      "common",
      parse_rules(
          {{"name", "common"},
           {"about", ""},
           {"keys",
            {{{"key", "n"},
              {"occurrence", "exactly_one"},
              {"checks", {{{"above", 0}}, {{"metadata_any_of", {"unit"}}}, {{"equals", 5}}, {{"non_empty", true}}}}},
             {{"key", "m"}, {"occurrence", "exactly_one"}, {"checks", {{{"equals", 5}}}}}}}}));
  const Ruleset scaled = scale(full, {{"n", "", 3}});
  const std::vector<Check>& checks = scaled.files.at("common").keys.at(0).checks;
  ASSERT_EQ(checks.size(), 3u);
  EXPECT_EQ(describe(checks[0]), "has metadata unit");
  EXPECT_EQ(describe(checks[1]), "is not empty");
  EXPECT_EQ(describe(checks[2]), "equals 3, declared as scaled");
  EXPECT_EQ(describe(scaled.files.at("common").keys.at(1).checks.at(0)), "equals 5");
}

TEST(CheckLog, UndeclaredScalingFails) {
  CheckOptions none;
  none.scaled = std::vector<ScaledCheck>{};
  EXPECT_EQ(keys_of(check(small_log(), none).errors), (Keys{"eval_accuracy", "eval_samples", "max_sequence_length"}));
  CheckOptions two = small_options();
  two.scaled->erase(two.scaled->begin());
  EXPECT_EQ(keys_of(check(small_log(), two).errors), Keys{"max_sequence_length"});
}

TEST(CheckLog, AnotherValueThanDeclaredFails) {
  SampleLog log = small_log();
  find(log, "eval_samples").value = 64;
  const CheckReport report = check(log, small_options());
  ASSERT_EQ(keys_of(report.errors), Keys{"eval_samples"});
  EXPECT_EQ(report.errors[0].rule, "equals 32, declared as scaled (closed_gpt_oss_20b, 6.0.0)");
  EXPECT_EQ(report.errors[0].found, "64");
  EXPECT_EQ(report.counts.scaled, 2);
}

TEST(CheckLog, AScaledTargetMustBeMet) {
  CheckOptions options = small_options();
  options.scaled->at(2).expected = 4.7;
  EXPECT_EQ(keys_of(check(small_log(), options).errors), Keys{"eval_accuracy"});
  options.scaled->at(2).expected = "4.9";
  EXPECT_EQ(keys_of(check(small_log(), options).errors), (Keys{"eval_accuracy", "eval_accuracy"}));
}

TEST(CheckLog, OtherRulesOfAScaledKeyStay) {
  SampleLog log = small_log();
  for (test::SampleRecord& record : log)
    if (record.key == "eval_accuracy") record.metadata = {{"epoch_num", 1}};
  EXPECT_EQ(keys_of(check(log, small_options()).errors), Keys{"eval_accuracy"});
  SampleLog twice = small_log();
  test::SampleRecord other = find(twice, "eval_samples");
  other.value = 64;
  twice.insert(twice.begin() + 12, other);
  EXPECT_EQ(keys_of(check(twice, small_options()).errors), Keys{"eval_samples"});
}

TEST(CheckLog, DeclaredButTheFullRuleHolds) {
  SampleLog log = small_log();
  find(log, "eval_samples").value = 1024;
  const CheckReport report = check(log, small_options());
  ASSERT_EQ(keys_of(report.errors), Keys{"eval_samples"});
  EXPECT_NE(report.errors[0].found.find("the full rule holds"), std::string::npos);
}

// One long evaluation interval can carry the loss past the scaled target and the full one at once.
TEST(CheckLog, OvershootingTheScaledTargetIsNoFault) {
  SampleLog log = small_log();
  for (test::SampleRecord& record : log)
    if (record.key == "eval_accuracy") record.value = 3.2;
  const CheckReport report = check(log, small_options());
  EXPECT_TRUE(report.passed()) << report.verdict_sentence();
  EXPECT_EQ(report.scaled.size(), 3u);
}

TEST(CheckLog, OnlyRulesThatLimitAValueCanBeScaled) {
  for (const char* key : {"run_start", "seed", "global_batch_size", "submission_benchmark"}) {
    CheckOptions options = small_options();
    options.scaled->push_back({key, "nothing", 1});
    EXPECT_EQ(keys_of(check(small_log(), options).errors), Keys{key});
  }
}

TEST(CheckLog, TheLogsOwnDeclarationCountsWhenNoneIsGiven) {
  const TemporaryFolder folder;
  {
    Writer writer(folder / "declared.txt");
    log_scaled_rules(writer, *small_options().scaled);
  }
  std::ifstream file(folder / "declared.txt");
  const std::string declaration((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(declaration.find("eval_accuracy"), std::string::npos);
  EXPECT_NE(declaration.find("\"key\": \"target\""), std::string::npos) << declaration;
  const CheckReport report = check_text(declaration + text_of(small_log()));
  EXPECT_TRUE(report.passed()) << report.verdict_sentence();
  EXPECT_TRUE(report.scaled_from_log);
  EXPECT_EQ(report.scaled.size(), 3u);
  EXPECT_EQ(report.scaled[2].key, "eval_accuracy");
  EXPECT_NE(report.verdict_sentence().find("the log's own declaration"), std::string::npos);
  // Twice declared, and a declaration that says too little.
  EXPECT_EQ(keys_of(check_text(declaration + declaration + text_of(small_log())).errors).size(), 3u);
  SampleLog odd = small_log();
  odd.push_back({"timetrial_scaled_rule", {{"key", "target"}}});
  EXPECT_EQ(keys_of(check_text(declaration + text_of(odd)).errors), Keys{"timetrial_scaled_rule"});
}

TEST(CheckLog, ADescriptionWithAReservedWordIsRefused) {
  const TemporaryFolder folder;
  Writer writer(folder / "log.txt");
  EXPECT_THROW(log_scaled_rules(writer, {{"eval_samples", "for eval_accuracy", 3}}), UserError);
}

TEST(CheckLog, RemarksAreApartFromTheVerdict) {
  struct Case {
    const char* key;
    std::function<void(SampleLog&)> bend;
  };
  const Case cases[] = {
      {"run_stop", [](SampleLog& log) { find(log, "run_stop").metadata["status"] = "aborted"; }},
      {"submission_org", [](SampleLog& log) { find(log, "submission_org").value = "SUBMISSION_ORG_PLACEHOLDER"; }},
      {"submission_platform", [](SampleLog& log) { find(log, "submission_platform").value = "TODO"; }},
      {"cache_clear", [](SampleLog& log) { find(log, "cache_clear").value = false; }},
      {"run_start", [](SampleLog& log) { find(log, "run_start").time_ms -= 500; }},
      {"eval_accuracy", [](SampleLog& log) { find(log, "eval_accuracy").metadata["samples_count"] = 12272; }},
      {"global_batch_size", [](SampleLog& log) { find(log, "gradient_accumulation_steps").value = 3; }},
      {"global_batch_size",
       [](SampleLog& log) {
         log.push_back({"micro_batch_size", 32});
       }},
  };
  for (const Case& bent : cases) {
    SampleLog log = sound_log();
    bent.bend(log);
    const CheckReport report = check(log);
    EXPECT_TRUE(report.passed()) << report.verdict_sentence();
    EXPECT_EQ(keys_of(report.remarks), Keys{bent.key});
  }
}

TEST(CheckLog, AWarningDoesNotFail) {
  SampleLog log = sound_log();
  log.insert(log.begin() + 10, find(log, "eval_samples"));
  const CheckReport report = check(log);
  EXPECT_TRUE(report.passed());
  EXPECT_EQ(keys_of(report.warnings), Keys{"eval_samples"});
}

TEST(CheckLog, LogsItCannotJudgeAreUserErrors) {
  const auto message = [](const std::string& text, const CheckOptions& options) -> std::string {
    try {
      check_text(text, options);
    } catch (const UserError& error) {
      return error.what();
    }
    return "judged";
  };
  EXPECT_NE(message(std::string("\x7f"
                                "ELF\0\0",
                                6),
                    {})
                .find("binary data"),
            std::string::npos);
  CheckOptions old;
  old.ruleset = "4.1.0";
  EXPECT_NE(message(text_of(sound_log()), old).find("ruleset \"4.1.0\""), std::string::npos);
  // Text without records is a log that fails, as the official checker has it.
  EXPECT_EQ(message("hello\n", {}), "judged");
  EXPECT_FALSE(check_text("hello\n").passed());
  EXPECT_EQ(check_text("").to_json()["verdict"], "fail");
}

TEST(CheckLog, JsonHoldsTheReport) {
  SampleLog log = sound_log();
  find(log, "opt_name").value = "sgd";
  const Json json = check(log).to_json();
  EXPECT_EQ(json["schema"], "timetrial.check/1");
  EXPECT_EQ(json["verdict"], "fail");
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["benchmark"], "gpt_oss_20b");
  EXPECT_EQ(json["counts"]["failed"], 1);
  ASSERT_EQ(json["errors"].size(), 1u);
  EXPECT_EQ(json["errors"][0]["key"], "opt_name");
  EXPECT_EQ(json["errors"][0]["line"], 13);
  EXPECT_EQ(json["errors"][0]["found"], "\"sgd\"");
}

}  // namespace
}  // namespace timetrial::mllog
