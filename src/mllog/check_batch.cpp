// Threads that take the next log until none is left.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/check_batch.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <set>
#include <thread>

#include "timetrial/base/error.h"
#include "timetrial/mllog/own_keys.h"

namespace timetrial::mllog {

namespace {

CheckedLog check_one(const Checker& checker, const FoundLog& log) {
  if (!log.problem.empty()) return {log.path, std::nullopt, fmt::format("{}: {}", log.path, log.problem)};
  try {
    return {log.path, checker.check(log.path), {}};
  } catch (const DataError& error) {
    return {log.path, std::nullopt, error.what()};
  }
}

void count(CheckBatch& batch) {
  for (const CheckedLog& log : batch.logs) {
    if (!log.report) {
      ++batch.unusable;
    } else if (log.report->passed()) {
      ++batch.passed;
      if (!log.report->scaled.empty()) ++batch.scaled;
      if (log.report->small_variant) ++batch.small_variants;
    } else {
      ++(log.report->records > 0 && !log.report->finished ? batch.unfinished : batch.failed);
    }
  }
}

std::string rulesets_of(const CheckBatch& batch) {
  std::set<std::string> names;
  for (const CheckedLog& log : batch.logs)
    if (log.report) names.insert(log.report->ruleset);
  if (names.empty()) return "";
  return fmt::format(" ({} {})", names.size() == 1 ? "ruleset" : "rulesets", fmt::join(names, ", "));
}

}  // namespace

CheckBatch check_batch(const Checker& checker, const std::vector<FoundLog>& logs, int threads) {
  CheckBatch batch;
  batch.ruleset = checker.ruleset();
  batch.logs.resize(logs.size());
  std::atomic<size_t> next = 0;
  std::atomic<bool> broken = false;
  std::vector<std::exception_ptr> thrown(logs.size());
  const auto work = [&] {
    for (size_t i = next++; i < logs.size() && !broken; i = next++) {
      try {
        batch.logs[i] = check_one(checker, logs[i]);
      } catch (...) {
        thrown[i] = std::current_exception();
        broken = true;
      }
    }
  };
  const size_t wanted = threads > 0 ? static_cast<size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  {
    std::vector<std::jthread> others;
    for (size_t i = 1; i < std::min(wanted, logs.size()); ++i) others.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& error : thrown)
    if (error) std::rethrow_exception(error);
  count(batch);
  return batch;
}

std::string CheckBatch::verdict_sentence() const {
  const auto all = static_cast<int64_t>(logs.size());
  std::string sentence =
      passed == all ? fmt::format("all {} logs pass", all) : fmt::format("{} of {} logs pass", passed, all);
  if (small_variants > 0) sentence += fmt::format(", {} of them of small variants, each {}", small_variants, kNoResult);
  sentence += rulesets_of(*this);
  std::vector<std::string> others;
  if (failed > 0) others.push_back(fmt::format("{} {}", failed, failed == 1 ? "fails" : "fail"));
  if (unfinished > 0) others.push_back(fmt::format("{} {} unfinished", unfinished, unfinished == 1 ? "is" : "are"));
  if (unusable > 0) others.push_back(fmt::format("{} cannot be used", unusable));
  if (!others.empty()) sentence += fmt::format("; {}", fmt::join(others, ", "));
  return sentence;
}

Json CheckBatch::to_json() const {
  Json reports = Json::array();
  for (const CheckedLog& log : logs)
    reports.push_back(log.report ? log.report->to_json()
                                 : Json{{"schema", "timetrial.check/1"},
                                        {"log", log.path},
                                        {"verdict", "unusable"},
                                        {"passed", false},
                                        {"sentence", log.unusable}});
  return {{"schema", "timetrial.check_all/1"},
          {"ruleset", ruleset},
          {"sentence", verdict_sentence()},
          {"logs", reports},
          {"passed", passed},
          {"scaled", scaled},
          {"small_variants", small_variants},
          {"failed", failed},
          {"unfinished", unfinished},
          {"unusable", unusable}};
}

}  // namespace timetrial::mllog
