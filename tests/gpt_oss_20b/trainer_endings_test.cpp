// How a run ends: target, step limit, interrupt, error, divergence; and that its log is closed each time.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "gpt_oss_20b/trainer_fixture.h"

namespace timetrial::testing {
namespace {

TEST_F(TrainerTest, StepLimitEndsTheRunAndEvaluatesOnSchedule) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::step_limit);
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.samples, 24);
  EXPECT_EQ(quiet_.evaluations.size(), 2U);
  EXPECT_NE(text_of(log_path()).find("\"status\": \"aborted\""), std::string::npos);
}

TEST_F(TrainerTest, TheTargetItselfIsEnough) {
  const RunConfig free = config({{"train.learning_rate", "0"}});
  RandomData data(free, log_path());
  const double loss = run(free, data).evaluation_loss;
  std::filesystem::remove(log_path());
  const RunConfig exact = config({{"train.learning_rate", "0"}, {"evaluation.target", fmt::format("{:.17g}", loss)}});
  EXPECT_EQ(run(exact, data).outcome, Outcome::target_reached);
}

TEST_F(TrainerTest, StopsAtTheFirstEvaluationThatReachesTheTarget) {
  const RunConfig c = config({{"evaluation.target", "100"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::target_reached);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(quiet_.evaluations.size(), 1U);
  EXPECT_LE(result.evaluation_loss, 100);
  EXPECT_NE(text_of(log_path()).find("\"status\": \"success\""), std::string::npos);
}

TEST_F(TrainerTest, AnInterruptClosesTheLogAsAborted) {
  const RunConfig c = config({{"evaluation.every_samples", "24"}});
  RandomData data(c, log_path());
  quiet_.interrupt = &interrupt_;
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::interrupted);
  EXPECT_EQ(result.steps, 3);  // on the CPU a queued step is a done step, reported before the next
  EXPECT_NE(text_of(log_path()).find("\"status\": \"aborted\""), std::string::npos);
  EXPECT_EQ(records("tracked_stats").size(), 3U);
  const std::vector<std::string> expected{"block_stop 12", "epoch_stop 12", "run_stop 12"};
  const std::vector<std::string> all = marks();
  EXPECT_EQ(std::vector<std::string>(all.end() - 3, all.end()), expected);
}

// Data that fails in the middle of the run: the log says how far it came.
TEST_F(TrainerTest, AnErrorClosesTheLogAsAborted) {
  class Failing : public RandomData {
   public:
    using RandomData::RandomData;
    std::unique_ptr<BatchSource> evaluation() override { throw DataError("x.bin", "is broken"); }
  };
  const RunConfig c = config();
  Failing data(c, log_path());
  EXPECT_THROW(run(c, data), DataError);
  const std::vector<std::string> all = marks();
  const std::vector<std::string> expected{"eval_start 12", "eval_stop 12", "epoch_stop 12", "run_stop 12"};
  EXPECT_EQ(std::vector<std::string>(all.end() - 4, all.end()), expected);
  EXPECT_EQ(records("run_stop").at(0)["metadata"]["status"], "aborted");
}

// A signal that comes while an evaluation reads its second batch of three.
TEST_F(TrainerTest, AnInterruptInsideAnEvaluationClosesIt) {
  class Interrupting : public RandomData {
   public:
    Interrupting(const RunConfig& config, const std::string& log, std::atomic<int>& interrupt)
        : RandomData(config, log), interrupt_(interrupt) {}
    std::unique_ptr<BatchSource> evaluation() override {
      class Source : public BatchSource {
       public:
        Source(std::unique_ptr<BatchSource> inner, std::atomic<int>& interrupt, int& batches)
            : inner_(std::move(inner)), interrupt_(interrupt), batches_(batches) {}
        const HostBatch& next() override {
          if (++batches_ == 2) interrupt_ = 15;
          return inner_->next();
        }

       private:
        std::unique_ptr<BatchSource> inner_;
        std::atomic<int>& interrupt_;
        int& batches_;
      };
      return std::make_unique<Source>(RandomData::evaluation(), interrupt_, batches);
    }
    int batches = 0;

   private:
    std::atomic<int>& interrupt_;
  };
  const RunConfig c = config();
  Interrupting data(c, log_path(), interrupt_);
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::interrupted);
  EXPECT_EQ(data.batches, 2) << "the evaluation went on after the signal";
  const std::vector<std::string> all = marks();
  const std::vector<std::string> expected{"eval_start 12", "eval_stop 12", "epoch_stop 12", "run_stop 12"};
  EXPECT_EQ(std::vector<std::string>(all.end() - 4, all.end()), expected);
  EXPECT_TRUE(records("eval_accuracy").empty());
}

// Before the clock starts there is no run to stop, but the log says that it ended and how.
TEST_F(TrainerTest, AnInterruptBeforeTheClockClosesTheLog) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  interrupt_ = 2;
  EXPECT_EQ(run(c, data).outcome, Outcome::interrupted);
  EXPECT_EQ(data.openings, 0);
  EXPECT_TRUE(records("run_start").empty());
  EXPECT_EQ(records("run_stop").at(0)["metadata"]["status"], "aborted");
  EXPECT_EQ(records("run_stop").at(0)["metadata"]["samples_count"], 0);
}

TEST_F(TrainerTest, AnErrorBeforeTheClockClosesTheLog) {
  {
    const RunConfig c = config();
    RunLog log(c);
    log.init_start(false, unix_milliseconds());
  }
  EXPECT_EQ(records("run_stop").at(0)["metadata"]["status"], "aborted");
}

TEST_F(TrainerTest, ALossThatIsNotFiniteEndsTheRun) {
  const RunConfig c = config({{"train.learning_rate", "1e30"}, {"evaluation.every_samples", "24"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::diverged);
  EXPECT_LT(result.steps, 6);
}

// The last step's own loss and gradient are fine; what it did to the weights shows in the evaluation alone.
TEST_F(TrainerTest, AnEvaluationThatIsNotFiniteEndsTheRun) {
  const RunConfig c = config({{"train.learning_rate", "1e30"}, {"evaluation.every_samples", "8"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_FALSE(std::isfinite(result.evaluation_loss));
  EXPECT_EQ(result.outcome, Outcome::diverged);
  EXPECT_EQ(result.steps, 2);
}

}  // namespace
}  // namespace timetrial::testing
