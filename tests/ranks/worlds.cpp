// Tiny models, their steps on ranks that are threads, and the comparison.
// SPDX-License-Identifier: Apache-2.0
#include "ranks/worlds.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "timetrial/comm/thread_ranks.h"
#include "timetrial/device/use_device.h"
#include "workloads/deepseekv3_671b/workload.h"
#include "workloads/gpt_oss_20b/workload.h"
#include "workloads/llama31_405b/workload.h"

namespace timetrial::testing {

std::unique_ptr<Workload> workload_of_name(const std::string& name) {
  if (name == "gpt_oss_20b") return gpt_oss_20b::make_workload();
  if (name == "llama31_405b") return llama31_405b::make_workload();
  return deepseekv3_671b::make_workload();
}

HostBatch rows_of(const HostBatch& all, const std::vector<int64_t>& rows) {
  HostBatch batch{.tokens = {}, .rows = static_cast<int64_t>(rows.size()), .row_length = all.row_length};
  for (const int64_t row : rows) {
    const auto begin = all.tokens.begin() + row * all.row_length;
    batch.tokens.insert(batch.tokens.end(), begin, begin + all.row_length);
  }
  return batch;
}

HostBatch random_rows(const RunConfig& config, int64_t rows, uint32_t seed) {
  std::mt19937 random(seed);
  HostBatch batch{.tokens = {}, .rows = rows, .row_length = config.model.sequence_length + 1};
  for (int64_t i = 0; i < rows * batch.row_length; ++i)
    batch.tokens.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(config.model.vocabulary)));
  return batch;
}

namespace {

// Norms start at 1 and biases at 0, where mistakes hide: every rank moves everything off its start by the same.
void shake(Executor& executor) {
  ParameterStore& store = executor.parameters();
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < store.list().size(); ++i) {
    std::vector<double> values = to_host(store.weight({i}), executor.stream());
    for (double& value : values) value += 0.05 * normal(random);
    from_host(store.weight({i}), values, executor.stream());
  }
  store.weights_written(executor.stream());
}

// The other ranks' shards of all gradients. Nothing of the step may be under way on the lane.
void gather_gradients(Executor& executor) {
  if (executor.mesh().alone()) return;
  executor.parameters().weights_hash(executor.stream());
  for (const ParameterStore::Group& group : executor.parameters().groups())
    executor.mesh()
        .reducing(group.reduce)
        .all_gather(group.gradients, group.gradients.rows(group.shard_begin, group.shard_end),
                    {executor.stream(), "gradients to compare"});
}

Trace run(const RunConfig& config, const Meddling& meddling, ProcessMesh& mesh) {
  omp_set_num_threads(1);
  const Device device = device_of(config, mesh.rank());
  auto model = workload_of_name(config.workload)->make_model(config, device);
  if (meddling.model) model = meddling.model(std::move(model), config);
  Executor executor(*model, config, device, &mesh);
  executor.initialize(7);
  shake(executor);
  executor.measure_expert_load();
  const int ranks = mesh.data_size();
  Trace trace;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<int64_t> mine;  // as the single sampler deals them (spec 10.4)
    for (int64_t row = 0; row < kGlobalBatch; ++row)
      if (row % ranks == mesh.data_rank()) mine.push_back(row);
    const HostBatch all = random_rows(config, kGlobalBatch, static_cast<uint32_t>(100 + step));
    executor.train_step(rows_of(all, mine), 0.002, step);
    const StepResult result = executor.result();
    trace.losses.push_back(result.loss);
    trace.norms.push_back(result.gradient_norm);
    trace.load = result.expert_load;
    if (step > 0) continue;
    gather_gradients(executor);
    for (int i = 0; i < model->parameters().size(); ++i) {
      const ParameterSpec& spec = model->parameters().specs()[static_cast<size_t>(i)];
      if (!spec.trainable) continue;
      trace.names.push_back(spec.name);
      trace.gradients.push_back(to_host(executor.parameters().grad({i}), executor.stream()));
    }
  }
  trace.buffers = executor.parameters().buffers(executor.stream());
  trace.weights = executor.parameters().weights_hash(executor.stream());
  // Seven sequences: some ranks have fewer than others, with eight ranks one has none.
  std::vector<int64_t> mine;
  for (int64_t row = 7 * mesh.data_rank() / ranks; row < 7 * (mesh.data_rank() + 1) / ranks; ++row) mine.push_back(row);
  const std::vector<double> sums =
      executor.over_ranks({executor.evaluate(rows_of(random_rows(config, 7, 5), mine))}, "evaluation");
  for (const double sum : sums) trace.evaluation += sum / static_cast<double>(7 * config.model.sequence_length);
  return trace;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

}  // namespace

Device device_of(const RunConfig& config, int rank) {
  return {.kind = config.device.kind, .index = config.device.kind == DeviceKind::cpu ? 0 : rank};
}

RunConfig tiny_config(const std::string& workload, DType dtype, int ranks) {
  const Json user = {{"workload", workload},
                     {"variant", "1m"},
                     {"data", {{"train", "unused"}, {"validation", "unused"}}},
                     {"output", {{"folder", "unused"}}}};
  Overrides overrides = {{"model.hidden", "12"},
                         {"model.vocabulary", "23"},
                         {"model.sequence_length", "7"},
                         {"model.init_std", "0.3"},
                         {"device.dtype", std::string(name_of(dtype))},
                         {"train.global_batch", std::to_string(kGlobalBatch)},
                         {"train.micro_batch", "1"},
                         {"evaluation.every_samples", "24"},
                         {"cluster.bucket_bytes", "1000"},
                         {"parallel.dp", std::to_string(ranks)}};
  const auto add = [&](const Overrides& more) { overrides.insert(overrides.end(), more.begin(), more.end()); };
  if (workload == "deepseekv3_671b") {
    add({{"model.layers", "3"},
         {"model.heads", "2"},
         {"model.kv_heads", "2"},
         {"model.head_dim", "10"},
         {"model.latent.query_rank", "7"},
         {"model.latent.kv_rank", "6"},
         {"model.latent.nope_dim", "6"},
         {"model.latent.rope_dim", "4"},
         {"model.latent.value_dim", "5"},
         {"model.dense_ffn", "9"},
         {"model.experts", "8"},
         {"model.ffn", "5"},
         {"model.shared_ffn", "5"},
         {"model.router.aux_loss", "0.05"},
         {"model.router.bias_rate", "0.01"},
         {"model.multi_token.weight", "0.3"},
         {"train.gradient_storage", "wide"},
         {"train.moment_storage", "wide"}});
  } else {
    add({{"model.layers", "2"},
         {"model.heads", "4"},
         {"model.kv_heads", "2"},
         {"model.head_dim", "6"},
         {"model.ffn", "5"}});
  }
  return parse_run_config(user, workload_of_name(workload)->benchmark(), "test", overrides);
}

std::vector<Trace> traces(const RunConfig& config, const Meddling& meddling) {
  std::vector<Trace> all(static_cast<size_t>(config.parallel.world_size()));
  comm::run_thread_ranks(config.parallel.world_size(), [&](comm::Bootstrap& bootstrap) {
    const Device device = device_of(config, bootstrap.rank());
    use_device(device);
    auto world = bootstrap.make_world(device, {.init = 60, .call = 60});
    if (meddling.world) world = meddling.world(std::move(world));
    ProcessMesh mesh(config.parallel, std::move(world));
    all[static_cast<size_t>(bootstrap.rank())] = run(config, meddling, mesh);
  });
  return all;
}

std::vector<std::string> differences(const Trace& one, const Trace& other, double tolerance) {
  std::vector<std::string> found;
  const auto compare = [&](const std::string& what, const std::vector<double>& a, const std::vector<double>& b) {
    if (a.size() != b.size()) return found.push_back(fmt::format("{}: {} and {} values", what, a.size(), b.size()));
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!(std::abs(a[i] - b[i]) <= worst)) worst = std::abs(a[i] - b[i]);  // also a NaN
    }
    const double scale = largest(a);
    if (!(worst <= tolerance * scale)) found.push_back(fmt::format("{}: off by {:.3g} of {:.3g}", what, worst, scale));
  };
  for (size_t i = 0; i < one.gradients.size(); ++i)
    compare("gradient of " + one.names[i], one.gradients[i], other.gradients.at(i));
  compare("norms", one.norms, other.norms);
  compare("losses", one.losses, other.losses);
  compare("expert biases", one.buffers, other.buffers);
  compare("evaluation", {one.evaluation}, {other.evaluation});
  if (one.load != other.load) found.emplace_back("tokens of the experts differ");
  return found;
}

}  // namespace timetrial::testing
