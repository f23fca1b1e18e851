// A few steps under an observer, and the table of what it saw.
// SPDX-License-Identifier: Apache-2.0
#include "apps/worker_profile.h"

#include <fmt/format.h>
#include <omp.h>

#include <nlohmann/json.hpp>

#include "apps/exit_code.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"
#include "timetrial/config/schedule.h"
#include "timetrial/train/executor.h"
#include "timetrial/train/op_profile.h"

namespace timetrial::apps {

namespace {

constexpr int64_t kWarmUpSteps = 3;

struct Profile {
  MachineCeilings ceilings;
  std::vector<OpTotal> ops;
  int64_t steps, tokens_per_step;
  double seconds;          // of all counted steps
  double outside() const;  // seconds in no op: data, schedule, clearing gradients
};

double Profile::outside() const {
  double inside = 0;
  for (const OpTotal& op : ops) inside += op.seconds;
  return seconds - inside;
}

Profile measure(const RunConfig& config, const Workload& workload, DataProvider& data, int64_t steps) {
  const auto model = workload.make_model(config, {});
  Executor executor(*model, config, {});
  Profile result{.ceilings = measure_ceilings(executor.stream()),
                 .ops = {},
                 .steps = steps,
                 .tokens_per_step = config.train.global_batch * config.model.sequence_length,
                 .seconds = 0};
  executor.initialize(static_cast<uint64_t>(config.train.seed));
  const auto batches = data.training();
  OpProfile profile;
  double started = 0;
  for (int64_t step = 0; step < kWarmUpSteps + steps; ++step) {
    if (step == kWarmUpSteps) {
      executor.observe(&profile);
      started = monotonic_seconds();
    }
    executor.train_step(batches->next(), learning_rate_at(config.train, step), step);
    executor.result();
  }
  result.seconds = monotonic_seconds() - started;
  executor.observe(nullptr);
  result.ops = profile.totals();
  // Twice, because whatever else the machine did may have fallen into one of the two seconds.
  result.ceilings = best_of(result.ceilings, measure_ceilings(executor.stream()));
  return result;
}

void print(const Profile& p) {
  const double step = p.seconds / static_cast<double>(p.steps);
  const OpTotal& first = p.ops.front();
  fmt::print("{} takes the largest share of a step: {:.0f} % of {:.1f} ms ({:.0f} tokens/s, {} threads, {})\n",
             first.name, 100 * first.seconds / p.seconds, 1e3 * step, static_cast<double>(p.tokens_per_step) / step,
             omp_get_max_threads(), processor_name());
  fmt::print("ceilings measured now: products {:.1f} GFLOP/s, memory {:.1f} GB/s (a sum of two arrays)\n\n",
             p.ceilings.flops_per_second / 1e9, p.ceilings.bytes_per_second / 1e9);
  fmt::print("{:32} {:>10} {:>9} {:>6} {:>8} {:>7} {:>7} {:>7}\n", "op", "calls/step", "ms/step", "share", "GFLOP/s",
             "of peak", "GB/s", "of mem");
  const auto steps = static_cast<double>(p.steps);
  const bool low_ceiling = ceiling_is_low(p.ops, p.ceilings);
  for (const OpTotal& op : p.ops) {
    const double flops = op.flops / op.seconds, bytes = op.bytes / op.seconds;
    const std::string products =
        op.flops == 0 ? fmt::format("{:>8} {:>7}", "-", "-")
        : low_ceiling ? fmt::format("{:8.1f} {:>7}", flops / 1e9, "?")
                      : fmt::format("{:8.1f} {:6.0f}%", flops / 1e9, 100 * flops / p.ceilings.flops_per_second);
    fmt::print("{:32} {:10.0f} {:9.3f} {:5.1f}% {} {:7.1f} {:6.0f}%\n", op.name, static_cast<double>(op.calls) / steps,
               1e3 * op.seconds / steps, 100 * op.seconds / p.seconds, products, bytes / 1e9,
               100 * bytes / p.ceilings.bytes_per_second);
  }
  fmt::print("{:32} {:>10} {:9.3f} {:5.1f}%\n", "outside ops", "", 1e3 * p.outside() / steps,
             100 * p.outside() / p.seconds);
  fmt::print("\nBytes count every tensor once, as if it came from memory; above 100 % it came from a cache.\n");
  if (low_ceiling)
    fmt::print(
        "Some products ran faster than the ceiling, which was measured while the machine was busy: shares of it are "
        "left "
        "out. Run this again when nothing else runs.\n");
}

Json to_json(const Profile& p) {
  Json ops = Json::array();
  for (const OpTotal& op : p.ops)
    ops.push_back(
        {{"name", op.name}, {"calls", op.calls}, {"seconds", op.seconds}, {"flops", op.flops}, {"bytes", op.bytes}});
  return {{"schema", "timetrial.profile/1"},
          {"processor", processor_name()},
          {"threads", omp_get_max_threads()},
          {"steps", p.steps},
          {"tokens_per_step", p.tokens_per_step},
          {"seconds", p.seconds},
          {"outside_ops_seconds", p.outside()},
          {"ceiling_is_low", ceiling_is_low(p.ops, p.ceilings)},
          {"ceilings",
           {{"flops_per_second", p.ceilings.flops_per_second}, {"bytes_per_second", p.ceilings.bytes_per_second}}},
          {"ops", ops}};
}

}  // namespace

int profile(const RunConfig& config, const Workload& workload, DataProvider& data, int64_t steps, bool json) {
  const Profile result = measure(config, workload, data, steps);
  if (json)
    fmt::print("{}\n", to_json(result).dump(2));
  else
    print(result);
  return kSuccess;
}

}  // namespace timetrial::apps
