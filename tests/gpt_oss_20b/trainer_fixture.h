// A trainer on random data in a folder of its own: what the trainer's tests share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "gpt_oss_20b/fixture.h"
#include "timetrial/base/clock.h"
#include "timetrial/train/trainer.h"

namespace timetrial::testing {

inline std::string text_of(const std::string& path) {
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

inline constexpr int64_t kEvaluationRows = 7;

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

}  // namespace timetrial::testing
