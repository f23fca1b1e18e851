// Logs for tests: a sound gpt_oss_20b log as (key, value, metadata) triples that a test bends and writes out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mllog/temporary_folder.h"
#include "timetrial/mllog/check.h"

namespace timetrial::test {

struct SampleRecord {
  std::string key;
  Json value, metadata = Json::object();
  int64_t time_ms = 1000000;
};

using SampleLog = std::vector<SampleRecord>;

// Closed division, batch 16, the reference's hyperparameters, two evaluations of which the second meets the target.
inline SampleLog sound_log() {
  const auto at = [](int64_t samples) { return Json{{"samples_count", samples}}; };
  return {{"cache_clear", true},
          {"init_start", nullptr},
          {"submission_benchmark", "gpt_oss_20b"},
          {"submission_org", "Example Works"},
          {"submission_division", "closed"},
          {"submission_status", "onprem"},
          {"submission_platform", "one box"},
          {"global_batch_size", 16},
          {"gradient_accumulation_steps", 1},
          {"max_sequence_length", 8192},
          {"eval_samples", 1024},
          {"train_samples", 1574207408},
          {"opt_name", "adamw"},
          {"opt_base_learning_rate", 4e-4},
          {"opt_adamw_beta_1", 0.9},
          {"opt_adamw_beta_2", 0.95},
          {"opt_adamw_epsilon", 1e-05},
          {"opt_adamw_weight_decay", 0.1},
          {"opt_gradient_clip_norm", 1.0},
          {"opt_end_learning_rate", 4e-5},
          {"opt_learning_rate_warmup_steps", 128},
          {"opt_learning_rate_decay_steps", 1199872},
          {"max_steps", 1200000},
          {"opt_learning_rate_decay_schedule", "cosine with linear warmup"},
          {"init_stop", nullptr},
          {"run_start", nullptr},
          {"block_start", nullptr, at(0)},
          {"block_stop", nullptr, at(12288)},
          {"eval_start", nullptr, at(12288)},
          {"eval_accuracy", 3.5, at(12288)},
          {"eval_stop", nullptr, at(12288)},
          {"block_start", nullptr, at(12288)},
          {"block_stop", nullptr, at(24576)},
          {"eval_start", nullptr, at(24576)},
          {"eval_accuracy", 3.3, at(24576)},
          {"eval_stop", nullptr, at(24576)},
          {"run_stop", nullptr, {{"samples_count", 24576}, {"status", "success"}}}};
}

inline SampleRecord& find(SampleLog& log, const std::string& key) {
  for (SampleRecord& record : log)
    if (record.key == key) return record;
  throw std::runtime_error("no record " + key);
}

inline void remove(SampleLog& log, const std::string& key) {
  std::erase_if(log, [&](const SampleRecord& record) { return record.key == key; });
}

inline std::string text_of(const SampleLog& log) {
  std::string text;
  for (const SampleRecord& record : log)
    text += ":::MLLOG " +
            Json{{"namespace", ""},   {"time_ms", record.time_ms}, {"event_type", "POINT_IN_TIME"},
                 {"key", record.key}, {"value", record.value},     {"metadata", record.metadata}}
                .dump() +
            "\n";
  return text;
}

inline std::string write(const TemporaryFolder& folder, const std::string& text) {
  const std::string path = folder / "result_0.txt";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

inline mllog::CheckReport check_text(const std::string& text, const mllog::CheckOptions& options = {}) {
  const TemporaryFolder folder;
  return mllog::check_log(write(folder, text), options);
}

inline mllog::CheckReport check(const SampleLog& log, const mllog::CheckOptions& options = {}) {
  return check_text(text_of(log), options);
}

}  // namespace timetrial::test
