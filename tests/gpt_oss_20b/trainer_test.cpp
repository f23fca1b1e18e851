// The trainer's order of things: warm-up without traces, clock before data, each outcome, steps as the executor alone
// makes them. SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "gpt_oss_20b/fixture.h"
#include "timetrial/config/schedule.h"

namespace timetrial::testing {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class RandomSource : public BatchSource {
 public:
  RandomSource(const RunConfig& config, uint32_t seed) : config_(config), seed_(seed) {}
  const HostBatch& next() override {
    batch_ = random_batch(config_, config_.train.global_batch, seed_++);
    return batch_;
  }

 private:
  const RunConfig& config_;
  uint32_t seed_;
  HostBatch batch_;
};

// Random rows; remembers what the log held when training data was first asked for.
class RandomData : public DataProvider {
 public:
  RandomData(const RunConfig& config, std::string log) : config_(config), log_(std::move(log)) {}
  std::unique_ptr<BatchSource> training() override {
    log_at_opening = text_of(log_);
    return std::make_unique<RandomSource>(config_, 100);
  }
  std::unique_ptr<BatchSource> evaluation() override { return std::make_unique<RandomSource>(config_, 5); }
  int64_t training_samples() const override { return 1000; }
  int64_t evaluation_samples() const override { return config_.train.global_batch; }
  std::string log_at_opening;

 private:
  const RunConfig& config_;
  std::string log_;
};

class Quiet : public Reporter {
 public:
  void stage(const char*) override {}
  void step(const StepReport& report) override {
    losses.push_back(report.loss);
    if (interrupt && report.step == 3) *interrupt = 2;
  }
  void evaluation(const EvaluationReport&) override { ++evaluations; }
  std::vector<double> losses;
  int evaluations = 0;
  std::atomic<int>* interrupt = nullptr;
};

class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest()
      : folder_(std::filesystem::temp_directory_path() / ("timetrial_trainer_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~TrainerTest() override { std::filesystem::remove_all(folder_); }

  RunConfig config(const Overrides& more = {}) const {
    Overrides overrides{{"train.global_batch", "4"},     {"train.micro_batch", "2"},         {"train.max_steps", "6"},
                        {"train.warmup_steps", "2"},     {"evaluation.every_samples", "12"}, {"train.seed", "7"},
                        {"evaluation.target", "0.0001"}, {"output.folder", folder_.string()}};
    for (const auto& [key, value] : more)
      std::erase_if(overrides, [&](const auto& override) { return override.first == key; });
    overrides.insert(overrides.end(), more.begin(), more.end());
    return small_config("1m", overrides);
  }

  RunResult run(const RunConfig& c, RandomData& data) {
    const auto model = gpt_oss_20b::make_workload()->make_model(c, {});
    Executor executor(*model, c, {});
    RunLog log(c);
    log.init_start(false);
    log.configuration(c, 1000);
    return Trainer(c, executor, data, log, quiet_, interrupt_).run();
  }
  std::string log_path() const { return (folder_ / "result_0.txt").string(); }

  std::filesystem::path folder_;
  Quiet quiet_;
  std::atomic<int> interrupt_{0};
};

TEST_F(TrainerTest, ClockStartsBeforeDataIsTouched) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  run(c, data);
  EXPECT_NE(data.log_at_opening.find("\"run_start\""), std::string::npos);
  EXPECT_NE(data.log_at_opening.find("\"init_stop\""), std::string::npos);
}

TEST_F(TrainerTest, StepLimitEndsTheRunAndEvaluatesOnSchedule) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::step_limit);
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.samples, 24);
  EXPECT_EQ(quiet_.evaluations, 2);
  EXPECT_NE(text_of(log_path()).find("\"status\": \"aborted\""), std::string::npos);
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
  }
}

TEST_F(TrainerTest, StopsAtTheFirstEvaluationThatReachesTheTarget) {
  const RunConfig c = config({{"evaluation.target", "100"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::target_reached);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(quiet_.evaluations, 1);
  EXPECT_LE(result.evaluation_loss, 100);
  EXPECT_NE(text_of(log_path()).find("\"status\": \"success\""), std::string::npos);
}

TEST_F(TrainerTest, AnInterruptClosesTheLogAsAborted) {
  const RunConfig c = config();
  RandomData data(c, log_path());
  quiet_.interrupt = &interrupt_;
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::interrupted);
  EXPECT_LT(result.steps, 6);
  EXPECT_NE(text_of(log_path()).find("\"status\": \"aborted\""), std::string::npos);
}

TEST_F(TrainerTest, ALossThatIsNotFiniteEndsTheRun) {
  const RunConfig c = config({{"train.learning_rate", "1e30"}, {"evaluation.every_samples", "24"}});
  RandomData data(c, log_path());
  const RunResult result = run(c, data);
  EXPECT_EQ(result.outcome, Outcome::diverged);
  EXPECT_LT(result.steps, 6);
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
