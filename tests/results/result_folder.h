// A folder of sound gpt_oss_20b logs that a test bends: N runs, each with its time, samples and step times.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "mllog/sample_log.h"
#include "mllog/temporary_folder.h"

namespace timetrial::test {

struct SampleRun {
  int64_t run_ms = 600000;
  int64_t samples = 196608;
  double step_s = 0.4;
  int64_t seed = 1234;
};

inline void insert_before(SampleLog& log, const std::string& key, const SampleRecord& record) {
  for (auto at = log.begin(); at != log.end(); ++at)
    if (at->key == key) {
      log.insert(at, record);
      return;
    }
}

// Starts at 2000000 ms after 1000000 ms of initialisation that began 90 s earlier.
inline SampleLog log_of(const SampleRun& run) {
  SampleLog log = sound_log();
  const auto samples = [&](SampleRecord& record) { record.metadata["samples_count"] = run.samples; };
  for (SampleRecord& record : log) {
    if (record.key == "init_start") record.time_ms = 1910000;
    if (record.key == "run_start" || record.key == "init_stop") record.time_ms = 2000000;
    if (record.key == "run_stop") record.time_ms = 2000000 + run.run_ms;
  }
  for (size_t i = log.size() - 3; i < log.size(); ++i) samples(log[i]);
  for (size_t i = 0; i < log.size(); ++i) {  // the evaluation that meets the target takes a minute
    if (log[i].key == "eval_start") log[i].time_ms = 2100000;
    if (log[i].key == "eval_stop") log[i].time_ms = 2130000;
  }
  for (const double off : {-0.001, 0.0, 0.001})
    insert_before(log, "run_stop",
                  {"tracked_stats", {{"train_step_time", run.step_s + off}}, {{"step", 1}}, 2000000 + run.run_ms});
  insert_before(log, "init_stop", {"seed", run.seed, {{"file", "train.py"}, {"lineno", 7}}});
  return log;
}

// What this program's own logs hold beside the official keys.
inline void make_own(SampleLog& log, const std::string& variant = "full", const std::string& form = "submitted",
                     const std::string& hash = "0123") {
  insert_before(log, "init_stop", {"timetrial_variant", variant});
  insert_before(log, "init_stop", {"timetrial_form", form});
  insert_before(log, "init_stop", {"timetrial_config_hash", hash});
}

class ResultFolder {
 public:
  explicit ResultFolder(const std::string& name = "gpt_oss_20b") : path_(folder_ / name) {
    std::filesystem::create_directories(path_);
  }
  void put(size_t number, const SampleLog& log) const { write_file(name_of(number), text_of(log)); }
  // With a seed of its own.
  void put(size_t number, SampleRun run = {}) const {
    run.seed += static_cast<int64_t>(number);
    put(number, log_of(run));
  }
  void write_file(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }
  static std::string name_of(size_t number) { return "result_" + std::to_string(number) + ".txt"; }
  const std::string& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

// Ten runs of 10, 11, ... 19 minutes.
inline void fill(const ResultFolder& folder, int64_t samples = 196608) {
  for (size_t i = 0; i < 10; ++i)
    folder.put(i, SampleRun{600000 + 60000 * static_cast<int64_t>(i), samples, 0.4 + 0.001 * static_cast<double>(i)});
}

}  // namespace timetrial::test
