// One sentence of judgement, then the numbers it rests on.
// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_print.h"

#include <nlohmann/json.hpp>

#include "apps/plan_ranks.h"
#include "apps/rank_setup.h"
#include "timetrial/base/error.h"
#include "timetrial/base/memory_limit.h"
#include "timetrial/data/data_memory.h"
#include "timetrial/device/sensors.h"
#include "timetrial/device/use_device.h"
#include "timetrial/mllog/own_keys.h"

namespace timetrial::apps {

namespace {

// Of what the run computes on: a GPU's free memory, or what this process may have.
MemoryLimit limit_of(const RunConfig& config) {
  const Device device = device_in_use(config.device.kind);
  if (device.kind == DeviceKind::cpu) return memory_limit();
  return {.bytes = room_on(device).free, .of = device.text()};
}

int64_t evaluations_at_most(const RunConfig& config) {
  const int64_t interval = config.evaluation_interval_steps();
  return (config.train.max_steps + interval - 1) / interval - config.evaluation.skip_first;
}

std::string where(int ranks) { return ranks == 1 ? "this rank" : fmt::format("each of {} ranks here", ranks); }

// A plan may be asked for where the data is not.
std::optional<size_t> known_data_bytes(const RunConfig& config) {
  try {
    return planned_data_bytes(data_spec(config, 0));
  } catch (const UserError&) {
    return std::nullopt;
  }
}

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

}  // namespace

std::string bytes_text(size_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.2f} MB", value / 1e6);
  return fmt::format("{:.2f} kB", value / 1e3);
}

// Ranks of a host share its memory; each has a GPU of its own.
void check_memory(const MemoryPlan& plan, const RunConfig& config, int ranks_here) {
  const MemoryLimit host = memory_limit();
  if (plan.data * static_cast<size_t>(ranks_here) > host.bytes)
    throw UserError(fmt::format(
        "the order of samples of {} steps needs {} of host memory on {}, {} has {}: lower train.max_steps to what the "
        "run will need",
        config.train.max_steps, bytes_text(plan.data), where(ranks_here), host.of, bytes_text(host.bytes)));
  const MemoryLimit limit = limit_of(config);
  const int ranks = config.device.kind == DeviceKind::cpu ? ranks_here : 1;
  if (plan.total() * static_cast<size_t>(ranks) <= limit.bytes) return;
  throw UserError(
      fmt::format("the run needs {} on {}, {} has {}: take a smaller variant or micro batch, or ask for more memory",
                  bytes_text(plan.total()), where(ranks), limit.of, bytes_text(limit.bytes)));
}

std::string plan_text(const RunConfig& config, const Model& model) {
  const ModelCounts counts = model.counts(config.model);
  const std::optional<size_t> data = known_data_bytes(config);
  const MemoryPlan memory = plan_memory(model, config, data.value_or(0));
  const MemoryLimit limit = limit_of(config);
  const bool fits = memory.total() <= limit.bytes && memory.host() <= memory_limit().bytes;
  const ParallelPlan& ranks = config.parallel;
  const bool cut = ranks.world_size() != ranks.data || ranks.expert > 1;  // along axes that blocks do not know yet
  std::string text =
      fmt::format("{}/{} ({}) on {} rank{}: {} parameters, ", config.workload, config.variant, config.form,
                  ranks.world_size(), ranks.world_size() == 1 ? "" : "s", grouped(counts.total));
  if (cut) {
    text += "memory per rank unknown: blocks are not cut along tp, pp, cp and ep yet.\n\n";
  } else {
    text += fmt::format("{} of memory per rank, {}.\n\n", bytes_text(memory.total()),
                        fits ? fmt::format("which fits {}", limit.of)
                             : fmt::format("more than the {} of {}", bytes_text(limit.bytes), limit.of));
  }
  const auto row = [&](const std::string& name, const std::string& value) {
    text += fmt::format("  {:<36}{:>22}\n", name, value);
  };
  text += "Model\n";
  row("parameters", grouped(counts.total));
  const bool predicts = counts.multi_token > 0;
  const char* main = predicts ? ", main model" : "";
  if (predicts) row("  of that multi-token prediction", grouped(counts.multi_token));
  if (counts.expert_biases > 0) row("  beside them expert biases", grouped(counts.expert_biases));
  row(fmt::format("active per token{}", main), grouped(counts.active));
  row(predicts ? "in products (N_mm), main model" : "in matrix products (N_mm)", grouped(counts.matmul));
  if (predicts) row("  and multi-token prediction", grouped(counts.multi_token_matmul));
  row("training FLOP per token", fmt::format("{:.0f}", counts.train_flops_per_token));
  if (predicts)
    row("  of that multi-token prediction", fmt::format("{:.0f}", counts.multi_token_train_flops_per_token));
  row("  of that attention (visible keys)", fmt::format("{:.0f}", counts.attention_train_flops_per_token));
  if (config.device.recompute != Recompute::off) {
    const double again = recomputed_flops_per_token(config.model, config.device.recompute);
    row("recomputed FLOP per token (not counted)",
        fmt::format("{:.0f} ({:.1f} %)", again, 100 * again / counts.train_flops_per_token));
  }
  row("evaluation FLOP per token", fmt::format("{:.0f}", counts.evaluation_flops_per_token));
  row("token ids (rows of embedding, head)",
      fmt::format("{} ({})", grouped(config.model.vocabulary), grouped(config.model.vocabulary_rows())));
  text += cut ? "Memory of a rank that holds every layer whole\n" : "Memory per rank\n";
  for (const auto& [name, bytes] : memory.rows())
    if (name != kDataRow || data) row(name, bytes_text(bytes));
  row("total", bytes_text(memory.total()));
  if (!data)
    row(fmt::format("{}, host", kDataRow), "unknown, no files");
  else if (!memory.on_host)
    row(fmt::format("{}, host", kDataRow), bytes_text(*data));
  if (const auto choices = model.choices(); !choices.empty()) {
    text += "Libraries\n";
    for (const std::string& line : choices) text += fmt::format("  {}\n", line);
  }
  text += ranks_text(config, model);
  text += "Batch\n";
  row("sequence length, tokens", grouped(config.model.sequence_length));
  row("global batch, sequences", grouped(config.train.global_batch));
  row("micro batch x accumulation x data",
      fmt::format("{} x {} x {}", config.train.micro_batch, config.accumulation(), config.parallel.data));
  row("tokens per step", grouped(config.train.global_batch * config.model.sequence_length));
  row("step limit", grouped(config.train.max_steps));
  text += "Evaluation\n";
  row("target, nats per token", fmt::format("{:.4g}", config.evaluation.target));
  row("sequences per evaluation", grouped(config.evaluation.samples));
  row("every steps (samples)", fmt::format("{} ({})", config.evaluation_interval_steps(),
                                           grouped(config.evaluation_interval_steps() * config.train.global_batch)));
  row("first after steps (samples)", fmt::format("{} ({})", config.first_evaluation_step(),
                                                 grouped(config.first_evaluation_step() * config.train.global_batch)));
  row("evaluations at most", grouped(evaluations_at_most(config)));
  if (!config.scaled_rules.empty()) {
    text +=
        fmt::format("Scaled: {} rules of the full benchmark do not hold for this run\n", config.scaled_rules.size());
    for (const ScaledRule& rule : config.scaled_rules) text += fmt::format("  {}\n", rule.description);
  }
  if (config.variant != mllog::kFullVariant) text += fmt::format("Result: {}\n", mllog::no_result(config.variant));
  return text;
}

Json plan_json(const RunConfig& config, const Model& model) {
  const ModelCounts counts = model.counts(config.model);
  const std::optional<size_t> data = known_data_bytes(config);
  const MemoryPlan memory = plan_memory(model, config, data.value_or(0));
  Json bytes = Json::object();
  for (const auto& [name, value] : memory.rows()) bytes[name] = value;
  bytes["total"] = memory.total();
  Json scaled = Json::array();
  for (const ScaledRule& rule : config.scaled_rules)
    scaled.push_back({{"key", rule.key}, {"description", rule.description}});
  return {{"schema", "timetrial.plan/1"},
          {"workload", config.workload},
          {"variant", config.variant},
          {"form", config.form},
          {"parameters", counts.total},
          {"active_parameters", counts.active},
          {"matmul_parameters", counts.matmul},
          {"multi_token_parameters", counts.multi_token},
          {"multi_token_matmul_parameters", counts.multi_token_matmul},
          {"expert_biases", counts.expert_biases},
          {"train_flops_per_token", counts.train_flops_per_token},
          {"multi_token_train_flops_per_token", counts.multi_token_train_flops_per_token},
          {"recomputed_flops_per_token", recomputed_flops_per_token(config.model, config.device.recompute)},
          {"evaluation_flops_per_token", counts.evaluation_flops_per_token},
          {"attention_train_flops_per_token", counts.attention_train_flops_per_token},
          {"bytes_per_rank", bytes},
          {"libraries", model.choices()},
          {"data_bytes_per_rank", data ? Json(*data) : Json(nullptr)},
          {"fits_this_machine", memory.total() <= limit_of(config).bytes && memory.host() <= memory_limit().bytes},
          {"ranks", ranks_json(config, model)},
          {"tokens_per_step", config.train.global_batch * config.model.sequence_length},
          {"gradient_accumulation_steps", config.accumulation()},
          {"evaluation_every_steps", config.evaluation_interval_steps()},
          {"first_evaluation_step", config.first_evaluation_step()},
          {"evaluations_at_most", evaluations_at_most(config)},
          {"scaled_rules", scaled},
          {"config_hash", config_hash(config)},
          {"config", effective_json(config)}};
}

}  // namespace timetrial::apps
