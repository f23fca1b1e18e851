// A run of this workload through the trainer: warm-up leaves no trace in weights and expert biases, every step is
// evaluated, and the log passes the rules with this benchmark's own keys. SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "deepseekv3_671b/fixture.h"
#include "timetrial/base/clock.h"
#include "timetrial/config/schedule.h"
#include "timetrial/mllog/check.h"

namespace timetrial::testing {
namespace {

class RandomSource : public BatchSource {
 public:
  RandomSource(const RunConfig& config, int64_t rows, uint32_t seed) : config_(config), rows_(rows), seed_(seed) {}
  const HostBatch& next() override {
    batch_ = random_batch(config_, rows_, seed_++);
    return batch_;
  }

 private:
  const RunConfig& config_;
  int64_t rows_;
  uint32_t seed_;
  HostBatch batch_;
};

class RandomData : public DataProvider {
 public:
  explicit RandomData(const RunConfig& config) : config_(config) {}
  std::unique_ptr<BatchSource> training() override {
    return std::make_unique<RandomSource>(config_, config_.train.global_batch, 100);
  }
  std::unique_ptr<BatchSource> evaluation() override {
    return std::make_unique<RandomSource>(config_, config_.evaluation.samples, 5);
  }
  int64_t training_samples() const override { return 1000; }
  int64_t evaluation_samples() const override { return config_.evaluation.samples; }

 private:
  const RunConfig& config_;
};

class Quiet : public Reporter {
 public:
  void stage(const char*) override {}
  void step(const StepReport& report) override { losses.push_back(report.loss); }
  void evaluation(const EvaluationReport& report) override { evaluations.push_back(report); }
  std::vector<double> losses;
  std::vector<EvaluationReport> evaluations;
};

TEST(DeepSeekTrainer, RunsLogsAndLeavesNoTraceOfItsWarmUp) {
  const auto folder = std::filesystem::temp_directory_path() / ("timetrial_deepseek_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const RunConfig config = small_config("1m", {{"train.global_batch", "4"},
                                               {"train.micro_batch", "2"},
                                               {"train.max_steps", "4"},
                                               {"train.warmup_steps", "2"},
                                               {"train.decay_steps", "4"},
                                               {"train.seed", "7"},
                                               {"evaluation.every_samples", "1"},
                                               {"evaluation.samples", "2"},
                                               {"evaluation.target", "0.0001"},
                                               {"submission.platform", "a test"},
                                               {"output.folder", folder.string()}});
  Machine machine(config);
  RandomData data(config);
  Quiet reporter;
  std::atomic<int> interrupt = 0;
  std::string path;
  {
    RunLog log(config);
    path = log.path();
    log.init_start(true, unix_milliseconds());
    log.configuration(config, data.training_samples());
    Trainer trainer(config, machine.executor, data, log, reporter, interrupt);
    EXPECT_EQ(trainer.run().outcome, Outcome::step_limit);
  }
  EXPECT_EQ(reporter.evaluations.size(), 4u);  // after every step

  // The same steps without a warm-up before them: bit-equal losses and weights, biases among them.
  Machine plain(config);
  RandomSource source(config, 4, 100);
  for (int step = 0; step < 4; ++step) {
    plain.executor.train_step(source.next(), learning_rate_at(config.train, step), step);
    EXPECT_EQ(plain.executor.result().loss, reporter.losses[static_cast<size_t>(step)]);
  }
  EXPECT_EQ(plain.executor.parameters().weights_hash({}), machine.executor.parameters().weights_hash({}));

  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find("\"key\": \"moe_aux_loss_coeff\", \"value\": 0.01"), std::string::npos);
  const mllog::CheckReport report = mllog::check_log(path, {});
  // The target was out of reach, so the run has no success to log; nothing else may be missing.
  for (const auto& error : report.errors) EXPECT_EQ(error.key, "eval_accuracy") << error.rule << ": " << error.found;
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace timetrial::testing
