// The JSON lines of --metrics.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/metrics.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial {

namespace {

class Metrics : public Reporter {
 public:
  Metrics(const std::string& path, const Utilization& utilization, std::unique_ptr<Reporter> next)
      : path_(path), utilization_(utilization), next_(std::move(next)) {
    refuse_used_metrics(path);
    file_.open(path);
    if (!file_) throw UserError(fmt::format("--metrics {}: cannot be made ({})", path, std::strerror(errno)));
  }

  void stage(const char* what) override { next_->stage(what); }
  void evaluation(const EvaluationReport& report) override { next_->evaluation(report); }

  void step(const StepReport& report) override {
    const std::optional<double> mfu = utilization_.mfu(report.tokens_per_second);
    // Ordered, because people read these lines too.
    const auto or_null = [](const std::optional<double>& value) {
      return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
    };
    const nlohmann::ordered_json line = {
        {"step", report.step},
        {"samples", report.samples},
        {"loss", report.loss},
        {"multi_token_loss", or_null(report.multi_token_loss)},
        {"aux_loss", or_null(report.aux_loss)},
        {"gradient_norm", report.gradient_norm},
        {"learning_rate", report.learning_rate},
        {"tokens", report.tokens},
        {"seconds", report.seconds},
        {"communication_seconds", or_null(report.communication_seconds)},
        {"exposed_seconds", or_null(report.exposed_seconds)},
        {"model_flops_per_second", utilization_.flops_per_second(report.tokens_per_second)},
        {"mfu", or_null(mfu)},
        {"expert_load", report.expert_load}};
    file_ << line.dump() << '\n';
    file_.flush();
    // A full disk is the machine's failure, as it is for the log.
    if (!file_)
      throw Error(fmt::format("--metrics {}: cannot be written ({}); free the disk or give another file", path_,
                              std::strerror(errno)));
    next_->step(report);
  }

 private:
  std::string path_;
  Utilization utilization_;
  std::unique_ptr<Reporter> next_;
  std::ofstream file_;
};

}  // namespace

void refuse_used_metrics(const std::string& path) {
  if (std::filesystem::exists(path))
    throw UserError(fmt::format("--metrics {}: exists already, and is not overwritten; give another file", path));
}

std::unique_ptr<Reporter> make_metrics(const std::string& path, const Utilization& utilization,
                                       std::unique_ptr<Reporter> next) {
  return std::make_unique<Metrics>(path, utilization, std::move(next));
}

}  // namespace timetrial
