// The table of fields: everything a config file can say.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "field.h"
#include "timetrial/base/error.h"

namespace timetrial::config {

namespace {

constexpr int64_t kMost = 1000000000;       // far above any real run, far below overflow
constexpr int64_t kMostSteps = 2000000000;  // a horizon of 1.38e9 sequences (spec 11.1) in batches of one
constexpr RealRange kPositive{.low = 0, .high = 1e30, .low_open = true};
constexpr RealRange kNotNegative{.low = 0, .high = 1e30};
constexpr RealRange kBelowOne{.low = 0, .high = 1, .high_open = true};

template <class... Members>
auto at(Members... members) {
  return [=](auto& config) -> auto& { return (config.*....*members); };
}

struct Label {
  std::string key, meaning;
};

template <class Slot>
Field whole(Label label, WholeRange range, Slot slot) {
  return {.key = std::move(label.key),
          .type = "whole number, " + text_of(range),
          .meaning = std::move(label.meaning),
          .otherwise = std::nullopt,
          .get = [slot](const RunConfig& c) { return Json(slot(c)); },
          .set =
              [slot, range](RunConfig& c, const Json& value, const std::string& path) {
                using Value = std::remove_reference_t<decltype(slot(c))>;
                slot(c) = static_cast<Value>(read_whole(value, range, path));
              }};
}

template <class Slot>
Field real(Label label, RealRange range, Slot slot) {
  return {.key = std::move(label.key),
          .type = "number, " + text_of(range),
          .meaning = std::move(label.meaning),
          .otherwise = std::nullopt,
          .get = [slot](const RunConfig& c) { return Json(slot(c)); },
          .set = [slot, range](RunConfig& c, const Json& value,
                               const std::string& path) { slot(c) = read_real(value, range, path); }};
}

template <class Slot>
Field flag(Label label, Slot slot) {
  return {
      .key = std::move(label.key),
      .type = "true or false",
      .meaning = std::move(label.meaning),
      .otherwise = std::nullopt,
      .get = [slot](const RunConfig& c) { return Json(slot(c)); },
      .set = [slot](RunConfig& c, const Json& value, const std::string& path) { slot(c) = read_flag(value, path); }};
}

template <class Slot>
Field text(Label label, Slot slot, bool may_be_empty = false) {
  return {.key = std::move(label.key),
          .type = "text",
          .meaning = std::move(label.meaning),
          .is_text = true,
          .otherwise = std::nullopt,
          .get = [slot](const RunConfig& c) { return Json(slot(c)); },
          .set = [slot, may_be_empty](RunConfig& c, const Json& value,
                                      const std::string& path) { slot(c) = read_text(value, may_be_empty, path); }};
}

template <class Value, class Slot>
Field choice(Label label, const std::vector<std::pair<std::string, Value>>& choices, Slot slot) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) names.push_back(name);
  return {.key = std::move(label.key),
          .type = fmt::format("one of {}", fmt::join(names, " | ")),
          .meaning = std::move(label.meaning),
          .is_text = true,
          .otherwise = std::nullopt,
          .get =
              [=](const RunConfig& c) {
                const auto found = std::find_if(choices.begin(), choices.end(),
                                                [&](const auto& candidate) { return candidate.second == slot(c); });
                TIMETRIAL_CHECK(found != choices.end(), "a value without a name");
                return Json(found->first);
              },
          .set = [=](RunConfig& c, const Json& value,
                     const std::string& path) { slot(c) = choices[read_choice(value, names, path)].second; }};
}

// One text, or a list of them; as an override a list is written as JSON, ["a", "b"].
template <class Slot>
Field texts(Label label, Slot slot) {
  return {
      .key = std::move(label.key),
      .type = "text, or list of texts",
      .meaning = std::move(label.meaning),
      .is_text = true,
      .otherwise = std::nullopt,
      .get =
          [slot](const RunConfig& c) {
            const std::vector<std::string>& list = slot(c);
            return list.size() == 1 ? Json(list.front()) : Json(list);
          },
      .set = [slot](RunConfig& c, const Json& value, const std::string& path) { slot(c) = read_texts(value, path); }};
}

template <class Slot>
Field reals(Label label, RealRange range, Slot slot) {
  return {.key = std::move(label.key),
          .type = "list of numbers, each " + text_of(range),
          .meaning = std::move(label.meaning),
          .otherwise = Json::array(),
          .get = [slot](const RunConfig& c) { return Json(slot(c)); },
          .set = [slot, range](RunConfig& c, const Json& value,
                               const std::string& path) { slot(c) = read_reals(value, range, path); }};
}

Field otherwise(Json value, Field field) {
  field.otherwise = std::move(value);
  return field;
}

std::vector<Field> run_fields() {
  using R = RunConfig;
  return {
      text({"workload", "what to train"}, at(&R::workload)),
      text({"variant", "size of the model and of its rules; custom: every value given here"}, at(&R::variant)),
      text({"form", "which reading of the model; custom: every switch given here"}, at(&R::form)),
      texts({"data.train", "training tokens: path prefix of PREFIX.idx and PREFIX.bin, or a list to blend"},
            at(&R::data, &DataConfig::train)),
      reals({"data.train_weights", "share of each prefix in the blend; empty: equal"}, kPositive,
            at(&R::data, &DataConfig::train_weights)),
      text({"data.validation", "evaluation tokens: path prefix of PREFIX.idx and PREFIX.bin"},
           at(&R::data, &DataConfig::validation)),
      otherwise("", text({"data.checkpoint", "folder of safetensors to start from; empty: weights from the seed"},
                         at(&R::data, &DataConfig::checkpoint), true)),
  };
}

template <class Slot>
Field storage(Label label, Slot slot) {
  return otherwise("wide", choice<StateStorage>(std::move(label),
                                                {{"wide", StateStorage::wide}, {"bf16", StateStorage::bf16}}, slot));
}

std::vector<Field> train_fields() {
  using T = TrainConfig;
  const auto in = [](auto member) { return at(&RunConfig::train, member); };
  return {
      otherwise(0, whole({"train.seed", "random seed; 0 draws one from the operating system"}, {0, 4294967295},
                         in(&T::seed))),
      whole({"train.global_batch", "sequences of one optimizer step"}, {1, kMost}, in(&T::global_batch)),
      whole({"train.micro_batch", "sequences a rank computes at once"}, {1, 1000000}, in(&T::micro_batch)),
      whole({"train.max_steps", "the last step, and where a benchmark has it so the learning-rate horizon"},
            {1, kMostSteps}, in(&T::max_steps)),
      real({"train.learning_rate", "peak learning rate"}, kNotNegative, in(&T::learning_rate)),
      real({"train.end_learning_rate", "learning rate where the decay ends"}, kNotNegative, in(&T::end_learning_rate)),
      whole({"train.warmup_steps", "steps before the peak"}, {0, kMostSteps}, in(&T::warmup_steps)),
      otherwise("from_zero",
                choice<WarmUpForm>({"train.warmup_form", "rate of warm-up step k: peak k/W, or peak (k+1)/(W+1)"},
                                   {{"from_zero", WarmUpForm::from_zero}, {"above_zero", WarmUpForm::above_zero}},
                                   in(&T::warmup_form))),
      whole({"train.decay_steps", "step where the decay ends"}, {1, kMostSteps}, in(&T::decay_steps)),
      otherwise("start",
                choice<DecayFrom>({"train.decay_from", "what decay_steps counts from"},
                                  {{"start", DecayFrom::start}, {"warmup", DecayFrom::warmup}}, in(&T::decay_from))),
      real({"train.beta_1", "AdamW: decay of the first moment"}, kBelowOne, in(&T::beta_1)),
      real({"train.beta_2", "AdamW: decay of the second moment"}, kBelowOne, in(&T::beta_2)),
      real({"train.epsilon", "AdamW: added to the root of the second moment"}, kPositive, in(&T::epsilon)),
      real({"train.weight_decay", "AdamW: decoupled decay of matrices"}, kNotNegative, in(&T::weight_decay)),
      real({"train.clip_norm", "largest global gradient norm"}, kPositive, in(&T::clip_norm)),
      otherwise("single", choice<SamplerKind>(
                              {"train.sampler", "consecutive samples, or each pass in a new permutation"},
                              {{"single", SamplerKind::single}, {"cyclic", SamplerKind::cyclic}}, in(&T::sampler))),
      storage({"train.gradient_storage", "what gradients hold after each micro batch"}, in(&T::gradient_storage)),
      storage({"train.moment_storage", "what AdamW's moments hold after each step"}, in(&T::moment_storage)),
  };
}

std::vector<Field> evaluation_fields() {
  using E = EvaluationConfig;
  const auto in = [](auto member) { return at(&RunConfig::evaluation, member); };
  return {
      whole({"evaluation.samples", "sequences of one evaluation"}, {1, kMost}, in(&E::samples)),
      whole({"evaluation.every_samples", "training sequences between evaluations, rounded up to whole steps"},
            {1, kMost}, in(&E::every_samples)),
      otherwise("file", choice<EvaluationOrder>({"evaluation.order",
                                                 "the file's first samples, the first ones of the "
                                                 "seed's order, or others each time"},
                                                {{"file", EvaluationOrder::file},
                                                 {"seed", EvaluationOrder::seed},
                                                 {"cyclic", EvaluationOrder::cyclic}},
                                                in(&E::order))),
      otherwise(
          0, whole({"evaluation.skip_first", "evaluations left out at the start"}, {0, 1000000}, in(&E::skip_first))),
      real({"evaluation.target", "loss in nats per token at which the run stops"}, kPositive, in(&E::target)),
  };
}

std::vector<Field> machine_fields() {
  using P = ParallelPlan;
  using D = DeviceConfig;
  const auto plan = [](auto member) { return at(&RunConfig::parallel, member); };
  const auto device = [](auto member) { return at(&RunConfig::device, member); };
  const auto cluster = [](auto member) { return at(&RunConfig::cluster, member); };
  const WholeRange ranks{1, 1000000};
  using C = ClusterConfig;
  return {
      otherwise(1, whole({"parallel.dp", "data-parallel ranks"}, ranks, plan(&P::data))),
      otherwise(1, whole({"parallel.tp", "tensor-parallel ranks"}, ranks, plan(&P::tensor))),
      otherwise(1, whole({"parallel.pp", "pipeline stages"}, ranks, plan(&P::pipeline))),
      otherwise(1, whole({"parallel.cp", "context-parallel ranks"}, ranks, plan(&P::context))),
      otherwise(1, whole({"parallel.ep", "expert-parallel ranks"}, ranks, plan(&P::expert))),
      otherwise(8, whole({"cluster.ranks_per_host", "ranks on each host, for their placement"}, {1, 4096},
                         cluster(&C::ranks_per_host))),
      otherwise(int64_t{32} << 20, whole({"cluster.bucket_bytes", "bytes of gradients that are reduced at once"},
                                         {1, int64_t{1} << 40}, cluster(&C::bucket_bytes))),
      otherwise(600.0, real({"cluster.init_deadline", "seconds that a rank waits for the others until the first step"},
                            kPositive, cluster(&C::init_deadline))),
      otherwise(30.0, real({"cluster.step_deadline", "the same later; at least five median steps in any case"},
                           kPositive, cluster(&C::step_deadline))),
      otherwise("cpu", choice<DeviceKind>({"device.kind", "what a rank computes on"},
                                          {{"cpu", DeviceKind::cpu}, {"cuda", DeviceKind::cuda}}, device(&D::kind))),
      otherwise(0, whole({"device.threads", "CPU threads of a rank; 0: one per core"}, {0, 4096}, device(&D::threads))),
      otherwise("f32",
                choice<DType>({"device.dtype", "storage of weights and activations"},
                              {{"f32", DType::f32}, {"f64", DType::f64}, {"bf16", DType::bf16}}, device(&D::dtype))),
      otherwise(
          "best",
          choice<AttentionKernels>(
              {"device.attention", "on a GPU: cuDNN's fused attention where it can, own kernels, or cuDNN"},
              {{"best", AttentionKernels::best}, {"own", AttentionKernels::own}, {"cudnn", AttentionKernels::cudnn}},
              device(&D::attention))),
      otherwise(false, flag({"device.deterministic", "the same bits on every run on a GPU too, at a cost"},
                            device(&D::deterministic))),
      otherwise("off", choice<Recompute>(
                           {"device.recompute", "what backward computes again instead of keeping it"},
                           {{"off", Recompute::off}, {"selective", Recompute::selective}, {"full", Recompute::full}},
                           device(&D::recompute))),
  };
}

std::vector<Field> paper_fields() {
  using S = SubmissionConfig;
  const auto in = [](auto member) { return at(&RunConfig::submission, member); };
  const auto same = [](const std::vector<std::string>& names) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string& name : names) pairs.emplace_back(name, name);
    return pairs;
  };
  return {
      otherwise("LOCAL-UNVERIFIED", text({"submission.organization", "who ran it, for the log"}, in(&S::organization))),
      otherwise("", text({"submission.platform", "the system's name, for the log; empty: the host's processor"},
                         in(&S::platform), true)),
      otherwise("closed", choice({"submission.division", "MLPerf division whose rules hold"}, same({"closed", "open"}),
                                 in(&S::division))),
      otherwise("Research, Development, or Internal (RDI)",
                choice({"submission.status", "MLPerf availability category, for the log"},
                       same({"Available on-premise", "Available cloud", "Preview",
                             "Research, Development, or Internal (RDI)"}),
                       in(&S::status))),
      text({"output.folder", "folder for the log and the effective config"},
           at(&RunConfig::output, &OutputConfig::folder)),
      otherwise("", text({"output.checkpoint", "new folder for the weights when the run is over; empty: not kept"},
                         at(&RunConfig::output, &OutputConfig::checkpoint), true)),
      otherwise("fp32",
                choice({"output.checkpoint_type", "element type of these weights"},
                       same({"bf16", "fp16", "fp32", "fp64"}), at(&RunConfig::output, &OutputConfig::checkpoint_type))),
  };
}

std::vector<Field> model_part_fields() {
  using M = ModelShape;
  const auto in = [](auto member) { return at(&RunConfig::model, member); };
  const auto latent = [](auto member) { return at(&RunConfig::model, &M::latent, member); };
  const auto router = [](auto member) { return at(&RunConfig::model, &M::router, member); };
  const auto more = [](auto member) { return at(&RunConfig::model, &M::multi_token, member); };
  using L = LatentSpec;
  using R = RouterSpec;
  const auto none = [](Label label, auto slot) { return otherwise(0, whole(std::move(label), {0, kMost}, slot)); };
  return {
      none({"model.dense_layers", "first layers that have a dense feed-forward in place of experts"},
           in(&M::dense_layers)),
      none({"model.dense_ffn", "inner width of those layers' feed-forward"}, in(&M::dense_ffn)),
      none({"model.shared_ffn", "inner width of the expert that sees every token; 0: none"}, in(&M::shared_ffn)),
      none({"model.latent.query_rank", "latent attention: width of the queries' latent; 0: none"},
           latent(&L::query_rank)),
      none({"model.latent.kv_rank", "latent attention: width of the keys' and values' latent"}, latent(&L::kv_rank)),
      none({"model.latent.nope_dim", "latent attention: channels of a head without position"}, latent(&L::nope_dim)),
      none({"model.latent.rope_dim", "latent attention: channels of a head with position"}, latent(&L::rope_dim)),
      none({"model.latent.value_dim", "latent attention: channels of a head's value"}, latent(&L::value_dim)),
      otherwise("softmax", choice<RouterKind>({"model.router.kind", "softmax over the chosen, or sigmoid scores"},
                                              {{"softmax", RouterKind::softmax}, {"sigmoid", RouterKind::sigmoid}},
                                              router(&R::kind))),
      otherwise(1, whole({"model.router.groups", "sigmoid router: groups of experts"}, {1, kMost}, router(&R::groups))),
      otherwise(1, whole({"model.router.kept_groups", "sigmoid router: groups a token may use"}, {1, kMost},
                         router(&R::kept_groups))),
      otherwise(
          1.0, real({"model.router.scaling", "sigmoid router: factor on the weights"}, kPositive, router(&R::scaling))),
      otherwise(0.0, real({"model.router.aux_loss", "sigmoid router: coefficient of the sequence auxiliary loss"},
                          kNotNegative, router(&R::aux_loss))),
      otherwise(0.0, real({"model.router.bias_rate", "sigmoid router: step of the expert bias"}, kNotNegative,
                          router(&R::bias_rate))),
      otherwise(0, whole({"model.multi_token.modules", "modules that predict the token after next"}, {0, 1},
                         more(&MultiTokenSpec::modules))),
      otherwise(
          0.0, real({"model.multi_token.weight", "weight of their loss"}, kNotNegative, more(&MultiTokenSpec::weight))),
      otherwise(false, flag({"model.rope.round_bounds", "YaRN: bounds are whole pairs"},
                            at(&RunConfig::model, &M::rope, &RopeSpec::round_bounds))),
      otherwise(0.0, real({"model.rope.mscale_all_dim", "YaRN: share of the magnitude in the softmax scale"},
                          kNotNegative, at(&RunConfig::model, &M::rope, &RopeSpec::mscale_all_dim))),
  };
}

std::vector<Field> model_fields() {
  using M = ModelShape;
  using Rope = RopeSpec;
  const auto in = [](auto member) { return at(&RunConfig::model, member); };
  const auto rope = [](auto member) { return at(&RunConfig::model, &M::rope, member); };
  const WholeRange extent{1, kMost}, count{0, kMost};
  return {
      whole({"model.layers", "transformer layers"}, {1, 100000}, in(&M::layers)),
      whole({"model.hidden", "width of the residual stream"}, extent, in(&M::hidden)),
      whole({"model.heads", "query heads"}, extent, in(&M::heads)),
      whole({"model.kv_heads", "key and value heads"}, extent, in(&M::kv_heads)),
      whole({"model.head_dim", "channels of a head"}, extent, in(&M::head_dim)),
      whole({"model.experts", "experts of a layer; 0: one dense feed-forward"}, count, in(&M::experts)),
      whole({"model.experts_per_token", "experts that see a token"}, count, in(&M::experts_per_token)),
      whole({"model.ffn", "inner width of an expert, or of the dense feed-forward"}, extent, in(&M::ffn)),
      whole({"model.vocabulary", "token ids"}, extent, in(&M::vocabulary)),
      otherwise(1, whole({"model.vocabulary_multiple", "embedding and head get rows up to a multiple of this"},
                         {1, 1000000}, in(&M::vocabulary_multiple))),
      whole({"model.sequence_length", "tokens of a sequence"}, extent, in(&M::sequence_length)),
      whole({"model.window_keys", "keys a windowed layer sees, the token itself among them; 0: no windows"}, count,
            in(&M::window_keys)),
      flag({"model.qk_norm", "RMSNorm on each head's query and key"}, in(&M::qk_norm)),
      flag({"model.linear_bias", "biases in attention, router and experts"}, in(&M::linear_bias)),
      flag({"model.sinks", "one learned sink logit per query head"}, in(&M::sinks)),
      choice<Activation>({"model.activation", "activation of the experts"},
                         {{"swiglu", Activation::swiglu}, {"clamped_swiglu", Activation::clamped_swiglu}},
                         in(&M::activation)),
      choice<RopeKind>({"model.rope.kind", "rotary embedding"},
                       {{"plain", RopeKind::plain}, {"yarn", RopeKind::yarn}, {"llama31", RopeKind::llama31}},
                       rope(&Rope::kind)),
      real({"model.rope.base", "base of the rotary frequencies"}, kPositive, rope(&Rope::base)),
      otherwise(1.0, real({"model.rope.factor", "how much the context is stretched"}, kPositive, rope(&Rope::factor))),
      otherwise(0.0, real({"model.rope.original_length", "context before stretching, tokens"}, kNotNegative,
                          rope(&Rope::original_length))),
      otherwise(32.0, real({"model.rope.beta_fast", "YaRN: turns above which a frequency is kept"}, kPositive,
                           rope(&Rope::beta_fast))),
      otherwise(1.0, real({"model.rope.beta_slow", "YaRN: turns below which a frequency is divided"}, kPositive,
                          rope(&Rope::beta_slow))),
      otherwise(1.0, real({"model.rope.low_frequency_factor", "Llama 3.1: turns below which a frequency is divided"},
                          kPositive, rope(&Rope::low_frequency_factor))),
      otherwise(4.0, real({"model.rope.high_frequency_factor", "Llama 3.1: turns above which a frequency is kept"},
                          kPositive, rope(&Rope::high_frequency_factor))),
      real({"model.norm_epsilon", "epsilon of every RMSNorm"}, kPositive, in(&M::norm_epsilon)),
      real({"model.init_std", "spread of initial weights; residual outputs: / sqrt(2 layers)"}, kNotNegative,
           in(&M::init_std)),
      real({"model.router_bias_std", "spread of initial router biases"}, kNotNegative, in(&M::router_bias_std)),
  };
}

}  // namespace

std::vector<Field> make_fields() {
  std::vector<Field> fields;
  for (std::vector<Field> section : {run_fields(), train_fields(), evaluation_fields(), machine_fields(),
                                     paper_fields(), model_fields(), model_part_fields()}) {
    std::move(section.begin(), section.end(), std::back_inserter(fields));
  }
  return fields;
}

std::vector<std::string> keys_of(const std::vector<Field>& fields) {
  std::vector<std::string> keys;
  for (const Field& field : fields) keys.push_back(field.key);
  return keys;
}

std::string path_of(const std::string& key) {
  std::string path = fmt::format("/{}", key);
  std::replace(path.begin(), path.end(), '.', '/');
  return path;
}

}  // namespace timetrial::config
