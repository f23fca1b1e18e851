// The progress bar, the plain lines, and the estimate to target.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/train/reporter.h"

namespace timetrial {

void TargetEstimate::add(int64_t samples, double loss) {
  previous_ = last_;
  last_ = {.step = 0, .samples = samples, .loss = loss, .seconds = 0};
  ++count_;
}

std::optional<double> TargetEstimate::samples_to_target() const {
  if (count_ < 2 || previous_.samples <= 0) return std::nullopt;
  const double run = std::log(static_cast<double>(last_.samples)) - std::log(static_cast<double>(previous_.samples));
  const double slope = (last_.loss - previous_.loss) / run;
  if (!(slope < 0) || !(last_.loss > target_)) return std::nullopt;
  const double estimate = static_cast<double>(last_.samples) * std::exp((target_ - last_.loss) / slope);
  return std::isfinite(estimate) ? std::optional(estimate) : std::nullopt;
}

namespace {

constexpr double kPlainSeconds = 5;  // between plain lines
constexpr double kBarSeconds = 0.1;  // between redraws
constexpr int kBarWidth = 24;

std::string duration(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.1f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

class Progress : public Reporter {
 public:
  Progress(const RunConfig& config, std::FILE* stream)
      : stream_(stream),
        terminal_(isatty(fileno(stream)) == 1),
        samples_limit_(config.train.max_steps * config.train.global_batch),
        max_steps_(config.train.max_steps),
        target_(config.evaluation.target),
        estimate_(config.evaluation.target) {}

  ~Progress() override { clear(); }

  void stage(const char* what) override {
    clear();
    print(fmt::format("{} ...\n", what));
    started_ = monotonic_seconds();
  }

  void step(const StepReport& report) override {
    const double now = monotonic_seconds();
    if (now - last_draw_ < (terminal_ ? kBarSeconds : kPlainSeconds)) return;
    last_draw_ = now;
    draw(report, now);
  }

  void evaluation(const EvaluationReport& report) override {
    estimate_.add(report.samples, report.loss);
    evaluation_loss_ = report.loss;
    clear();
    print(fmt::format("step {:>6}  samples {:>8}  evaluation loss {:.4f}  target {:.2f}  {}\n", report.step,
                      report.samples, report.loss, target_, duration(report.seconds)));
  }

 private:
  void draw(const StepReport& report, double now) {
    const auto goal = estimate_.samples_to_target();
    const double end =
        std::min(goal.value_or(static_cast<double>(samples_limit_)), static_cast<double>(samples_limit_));
    const double share = std::clamp(static_cast<double>(report.samples) / end, 0.0, 1.0);
    std::string line;
    if (terminal_) {
      const int full = static_cast<int>(share * kBarWidth);
      line = fmt::format("[{:#<{}}{:.<{}}] ", "", full, "", kBarWidth - full);
    }
    line += fmt::format("step {}/{}  loss {:.4f}", report.step, max_steps_, report.loss);
    // A bar has one line of a terminal; there they would push the estimate out of it.
    if (report.multi_token_loss && !terminal_) line += fmt::format("  multi-token {:.4f}", *report.multi_token_loss);
    if (report.aux_loss && !terminal_) line += fmt::format("  auxiliary {:.3f}", *report.aux_loss);
    line += fmt::format("  {:.0f} tokens/s", report.tokens_per_second);
    if (evaluation_loss_) line += fmt::format("  evaluation {:.3f}", *evaluation_loss_);
    if (goal && *goal <= static_cast<double>(samples_limit_) && report.samples > 0) {
      const double remaining = (now - started_) * std::max(0.0, *goal / static_cast<double>(report.samples) - 1);
      line += fmt::format("  about {} to target {:.2f}", duration(remaining), target_);
    }
    print(terminal_ ? "\r\033[K" + line : line + "\n");
    drawn_ = terminal_;
  }

  void clear() {
    if (drawn_) print("\r\033[K");
    drawn_ = false;
  }

  // A terminal that has gone is no reason to end a run: whether anybody reads is not looked at.
  void print(const std::string& text) {
    std::fputs(text.c_str(), stream_);
    std::fflush(stream_);
  }

  std::FILE* stream_;
  bool terminal_, drawn_ = false;
  int64_t samples_limit_, max_steps_;
  double target_, started_ = 0, last_draw_ = 0;
  std::optional<double> evaluation_loss_;
  TargetEstimate estimate_;
};

class Silence : public Reporter {
 public:
  void stage(const char*) override {}
  void step(const StepReport&) override {}
  void evaluation(const EvaluationReport&) override {}
};

}  // namespace

std::unique_ptr<Reporter> make_silence() { return std::make_unique<Silence>(); }

std::unique_ptr<Reporter> make_progress(const RunConfig& config, std::FILE* stream) {
  return std::make_unique<Progress>(config, stream);
}

}  // namespace timetrial
