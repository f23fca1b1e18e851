// The trainer's order of things: warm-up without traces, clock before data, each outcome, steps as the executor alone
// makes them. SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "gpt_oss_20b/fixture.h"
#include "timetrial/base/clock.h"
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
  RandomSource(const RunConfig& config, uint32_t seed, std::chrono::milliseconds delay = {})
      : config_(config), seed_(seed), delay_(delay) {}
  const HostBatch& next() override {
    std::this_thread::sleep_for(delay_);
    batch_ = random_batch(config_, config_.train.global_batch, seed_++);
    return batch_;
  }

 private:
  const RunConfig& config_;
  uint32_t seed_;
  std::chrono::milliseconds delay_;
  HostBatch batch_;
};

// The rows of one random batch, `at_once` at a time: the last batch is shorter when that does not divide.
class PiecesOfABatch : public BatchSource {
 public:
  PiecesOfABatch(HostBatch whole, int64_t at_once) : whole_(std::move(whole)), at_once_(at_once) {}
  const HostBatch& next() override {
    const int64_t rows = std::min(at_once_, whole_.rows - begin_);
    const auto first = whole_.tokens.begin() + begin_ * whole_.row_length;
    piece_ = {.tokens = {first, first + rows * whole_.row_length}, .rows = rows, .row_length = whole_.row_length};
    begin_ += rows;
    return piece_;
  }

 private:
  HostBatch whole_, piece_;
  int64_t at_once_, begin_ = 0;
};

constexpr int64_t kEvaluationRows = 7;

// Random rows; remembers what the log held when training data was first asked for.
class RandomData : public DataProvider {
 public:
  RandomData(const RunConfig& config, std::string log) : config_(config), log_(std::move(log)) {}
  std::unique_ptr<BatchSource> training() override {
    if (openings++ == 0) log_at_opening = text_of(log_);
    return std::make_unique<RandomSource>(config_, 100, delay);
  }
  // Batches of 3, 3 and 1 rows with micro batches of 2: every kind of rest.
  std::unique_ptr<BatchSource> evaluation() override {
    return std::make_unique<PiecesOfABatch>(random_batch(config_, kEvaluationRows, 5), 3);
  }
  int64_t training_samples() const override { return 1000; }
  int64_t evaluation_samples() const override { return kEvaluationRows; }
  std::string log_at_opening;
  int openings = 0;
  std::chrono::milliseconds delay{0};  // of every training batch

 private:
  const RunConfig& config_;
  std::string log_;
};

class Quiet : public Reporter {
 public:
  void stage(const char*) override {}
  void step(const StepReport& report) override {
    losses.push_back(report.loss);
    norms.push_back(report.gradient_norm);
    if (interrupt && report.step == 3) *interrupt = 2;
  }
  void evaluation(const EvaluationReport& report) override { evaluations.push_back(report); }
  std::vector<double> losses, norms;
  std::vector<EvaluationReport> evaluations;
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
    Overrides overrides{{"train.global_batch", "4"},        {"train.micro_batch", "2"},
                        {"train.max_steps", "6"},           {"train.warmup_steps", "2"},
                        {"evaluation.every_samples", "12"}, {"train.seed", "7"},
                        {"evaluation.target", "0.0001"},    {"evaluation.samples", std::to_string(kEvaluationRows)},
                        {"output.folder", folder_.string()}};
    for (const auto& [key, value] : more)
      std::erase_if(overrides, [&](const auto& override) { return override.first == key; });
    overrides.insert(overrides.end(), more.begin(), more.end());
    return small_config("1m", overrides);
  }

  RunResult run(const RunConfig& c, RandomData& data) {
    const auto model = gpt_oss_20b::make_workload()->make_model(c, {});
    Executor executor(*model, c, {});
    RunLog log(c);
    log.init_start(false, unix_milliseconds());
    log.configuration(c, 1000);
    return Trainer(c, executor, data, log, quiet_, interrupt_).run();
  }
  std::vector<Json> records(const std::string& key) const {
    std::vector<Json> found;
    std::ifstream file(log_path());
    for (std::string line; std::getline(file, line);) {
      Json record = Json::parse(line.substr(line.find('{')));
      if (record["key"] == key) found.push_back(std::move(record));
    }
    return found;
  }
  // run_start to run_stop without the steps, each with its samples_count: "eval_start 12".
  std::vector<std::string> marks() const {
    std::vector<std::string> found;
    std::ifstream file(log_path());
    for (std::string line; std::getline(file, line);) {
      const Json record = Json::parse(line.substr(line.find('{')));
      const auto key = record["key"].get<std::string>();
      if (key == "run_start") found.clear();
      const auto samples = record["metadata"].find("samples_count");
      if (key != "tracked_stats")
        found.push_back(samples == record["metadata"].end() ? key : key + " " + samples->dump());
    }
    return found;
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
  EXPECT_EQ(quiet_.evaluations.size(), 2U);
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

TEST_F(TrainerTest, TheTargetItselfIsEnough) {
  const RunConfig free = config({{"train.learning_rate", "0"}});
  RandomData data(free, log_path());
  const double loss = run(free, data).evaluation_loss;
  std::filesystem::remove(log_path());
  const RunConfig exact = config({{"train.learning_rate", "0"}, {"evaluation.target", fmt::format("{:.17g}", loss)}});
  EXPECT_EQ(run(exact, data).outcome, Outcome::target_reached);
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
