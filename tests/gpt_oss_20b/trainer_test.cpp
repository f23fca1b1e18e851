// The trainer: warm-up without traces, clock before data, steps as the executor alone makes them, what is logged.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/trainer.h"

#include "gpt_oss_20b/trainer_fixture.h"
#include "timetrial/config/schedule.h"

namespace timetrial::testing {
namespace {

TEST_F(TrainerTest, ClockStartsBeforeDataIsTouched) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  run(c, data);
  EXPECT_NE(data.log_at_opening.find("\"run_start\""), std::string::npos);
  EXPECT_NE(data.log_at_opening.find("\"init_stop\""), std::string::npos);
}

// Warm-up steps must leave no trace, and a step's values must come back whole although they are read one step late.
TEST_F(TrainerTest, StepsEqualTheExecutorsOwn) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  run(c, data);
  ASSERT_EQ(quiet_.losses.size(), 6U);
  Machine machine(c);
  RandomSource source(c, 100);
  for (int64_t step = 0; step < 6; ++step) {
    machine.executor.train_step(source.next(), learning_rate_at(c.train, step), step);
    EXPECT_EQ(machine.executor.result().loss, quiet_.losses[static_cast<size_t>(step)]) << step;
    EXPECT_EQ(machine.executor.result().gradient_norm, quiet_.norms[static_cast<size_t>(step)]) << step;
  }
}

TEST_F(TrainerTest, LogsEveryStepWithItsOwnNumbers) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  run(c, data);
  const std::vector<Json> steps = records("tracked_stats");
  ASSERT_EQ(steps.size(), 6U);
  for (int64_t i = 0; i < 6; ++i) {
    const auto at = static_cast<size_t>(i);
    const Json &value = steps[at]["value"], &metadata = steps[at]["metadata"];
    EXPECT_EQ(metadata["step"], i + 1);
    EXPECT_EQ(metadata["samples_count"], 4 * (i + 1));
    EXPECT_NEAR(value["reduced_train_loss"], quiet_.losses[at], 1e-6);
    EXPECT_NEAR(value["gradient_norm"], quiet_.norms[at], 1e-6);
    EXPECT_NEAR(value["learning_rate"], learning_rate_at(c.train, i), 1e-12);
  }
}

TEST_F(TrainerTest, LogsBlocksAndEvaluationsWithTheirSamples) {
  const RunConfig c = config({{"train.max_steps", "5"}, {"train.warmup_steps", "1"}});  // the last block is shorter
  RandomData data(c, log_path());
  EXPECT_EQ(run(c, data).outcome, Outcome::step_limit);
  const std::vector<std::string> expected{"run_start",     "epoch_start 0",    "block_start 0",    "block_stop 12",
                                          "eval_start 12", "eval_accuracy 12", "eval_stop 12",     "block_start 12",
                                          "block_stop 20", "eval_start 20",    "eval_accuracy 20", "eval_stop 20",
                                          "epoch_stop 20", "run_stop 20"};
  EXPECT_EQ(marks(), expected);
}

TEST_F(TrainerTest, LogsWhatTheRunWasAskedToDo) {
  const RunConfig c =
      config({{"train.end_learning_rate", "0.0001"}, {"train.decay_steps", "5"}, {"train.max_steps", "3"}});
  RandomData data(c, log_path());
  run(c, data);
  const std::vector<std::pair<std::string, Json>> expected{
      {"seed", 7},
      {"global_batch_size", 4},
      {"gradient_accumulation_steps", 2},
      {"micro_batch_size", 2},
      {"max_sequence_length", 64},
      {"eval_samples", c.evaluation.samples},
      {"train_samples", 1000},
      {"opt_base_learning_rate", 0.003},
      {"opt_end_learning_rate", 0.0001},
      {"opt_learning_rate_warmup_steps", 2},
      {"opt_learning_rate_decay_steps", 5},
      {"max_steps", 3},
      {"opt_adamw_beta_1", 0.9},
      {"opt_adamw_beta_2", 0.95},
      {"opt_adamw_epsilon", 1e-5},
      {"opt_adamw_weight_decay", 0.1},
      {"opt_gradient_clip_norm", 1.0},
      {"target_accuracy", 0.0001},
  };
  for (const auto& [key, value] : expected) {
    const std::vector<Json> found = records(key);
    ASSERT_EQ(found.size(), 1U) << key;
    EXPECT_EQ(found[0]["value"], value) << key;
  }
}

TEST_F(TrainerTest, EvaluationIsTheMeanOverAllTokens) {
  const RunConfig c = config({{"train.learning_rate", "0"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  Machine machine(c);
  PiecesOfABatch rows(random_batch(c, kEvaluationRows, 5), 1);
  double sum = 0;
  for (int64_t row = 0; row < kEvaluationRows; ++row) sum += machine.mean_loss(rows.next()) / kEvaluationRows;
  EXPECT_NEAR(result.evaluation_loss, sum, 1e-6 * sum);
  for (const EvaluationReport& report : quiet_.evaluations) EXPECT_EQ(report.loss, result.evaluation_loss);
}

// Reading the next batch overlaps the step before it: no second may be counted twice.
TEST_F(TrainerTest, StepTimesAddUpToNoMoreThanTheRun) {
  const RunConfig c = config({{"train.max_steps", "12"}, {"evaluation.every_samples", "48"}});
  RandomData data(c, log_path());
  data.delay = std::chrono::milliseconds(50);
  const RunResult result = run(c, data);
  double sum = 0;
  for (const Json& step : records("tracked_stats")) sum += step["value"]["train_step_time"].get<double>();
  EXPECT_LE(sum, result.seconds + 1e-3);
  EXPECT_GE(sum, 12 * 0.05);
}

TEST_F(TrainerTest, TimesByPartAddUpToTheRun) {
  const RunConfig c = config({{"train.max_steps", "12"}, {"evaluation.every_samples", "48"}});
  RandomData data(c, log_path());
  data.delay = std::chrono::milliseconds(20);
  const RunResult result = run(c, data);
  const TimeSplit& split = result.split;
  EXPECT_GE(split.data, 12 * 0.02);
  for (const double part : {split.step, split.evaluation, split.log, split.progress}) EXPECT_GT(part, 0);
  const double sum = split.data + split.step + split.evaluation + split.log + split.progress;
  EXPECT_LE(sum, result.seconds + 1e-3);
  EXPECT_GE(sum, 0.9 * result.seconds) << "time is lost between the parts";
}

TEST_F(TrainerTest, NeverWritesOverARun) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  run(c, data);
  const std::string before = text_of(log_path());
  EXPECT_THROW(RunLog{c}, UserError);
  EXPECT_EQ(text_of(log_path()), before);
}

}  // namespace
}  // namespace timetrial::testing
