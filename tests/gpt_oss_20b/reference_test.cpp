// The model's loss against a second implementation: plain loops in double, one sequence, written from the spec (2.1 to
// 2.4, 3.1, 18.2) and sharing no code with the ops or blocks. SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

#include "gpt_oss_20b/fixture.h"

namespace timetrial::testing {
namespace {

using Values = std::vector<double>;
using Rows = std::vector<Values>;

class Reference {
 public:
  explicit Reference(Machine& machine) : shape_(machine.config.model) {
    for (int i = 0; i < machine.model->parameters().size(); ++i)
      parameters_[machine.model->parameters().specs()[static_cast<size_t>(i)].name] =
          to_host(machine.executor.parameters().weight({i}), machine.executor.stream());
  }

  // Mean nats per token of one row of tokens.
  double loss(const std::vector<int32_t>& tokens) const {
    const size_t hidden = size(shape_.hidden), length = tokens.size() - 1;
    Rows x(length);
    for (size_t t = 0; t < length; ++t) {
      const auto begin = of("embedding.weight").begin() + static_cast<std::ptrdiff_t>(size(tokens[t]) * hidden);
      x[t].assign(begin, begin + shape_.hidden);
    }
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const std::string name = fmt::format("layers.{}", layer);
      add(x, attention(layer, name + ".attention", norm(name + ".attention_norm", x)));
      Rows fed = norm(name + ".mlp_norm", x);
      for (Values& row : fed) row = experts(name + ".mlp", row);
      add(x, fed);
    }
    double sum = 0;
    const Rows normed = norm("head.norm", x);
    for (size_t t = 0; t < length; ++t) {
      const Values logits = linear("head.output", normed[t]);
      double total = 0;
      for (double logit : logits) total += std::exp(logit);
      sum += std::log(total) - logits[size(tokens[t + 1])];
    }
    return sum / static_cast<double>(length);
  }

 private:
  static size_t size(int64_t value) { return static_cast<size_t>(value); }
  const Values& of(const std::string& name) const { return parameters_.at(name); }

  static void add(Rows& to, const Rows& what) {
    for (size_t t = 0; t < to.size(); ++t)
      for (size_t c = 0; c < to[t].size(); ++c) to[t][c] += what[t][c];
  }

  Rows norm(const std::string& name, Rows x) const {
    for (Values& row : x) {
      const double square = std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
      const double root = std::sqrt(square / static_cast<double>(row.size()) + shape_.norm_epsilon);
      for (size_t c = 0; c < row.size(); ++c) row[c] *= of(name + ".weight")[c] / root;
    }
    return x;
  }

  // y = W x + b with the `index`-th of the matrices stored one after another.
  Values product(const std::string& weight, const std::string& bias, const Values& x, size_t outputs,
                 size_t index = 0) const {
    Values y(outputs);
    for (size_t o = 0; o < outputs; ++o) {
      const auto row = of(weight).begin() + static_cast<std::ptrdiff_t>((index * outputs + o) * x.size());
      y[o] = std::inner_product(x.begin(), x.end(), row, 0.0);
      if (parameters_.contains(bias)) y[o] += of(bias)[index * outputs + o];
    }
    return y;
  }
  Values linear(const std::string& name, const Values& x) const {
    return product(name + ".weight", name + ".bias", x, of(name + ".weight").size() / x.size());
  }

  // Angle per position of channel pair i; YaRN mixes the frequency and its factor-th part (spec 2.4).
  double frequency(size_t i) const {
    const RopeSpec& rope = shape_.rope;
    const auto d = static_cast<double>(shape_.head_dim);
    const double plain = std::pow(rope.base, -2.0 * static_cast<double>(i) / d);
    if (rope.kind == RopeKind::plain) return plain;
    const auto bound = [&](double turns) {
      return d * std::log(rope.original_length / (turns * 2 * std::numbers::pi)) / (2 * std::log(rope.base));
    };
    const double low = bound(rope.beta_fast), high = bound(rope.beta_slow);
    const double ramp = std::min(1.0, std::max(0.0, (static_cast<double>(i) - low) / (high - low)));
    return ramp * plain / rope.factor + (1 - ramp) * plain;
  }

  void turn(Values& row, size_t head, size_t position) const {
    const size_t d = size(shape_.head_dim);
    const double amplitude = shape_.rope.kind == RopeKind::yarn ? 0.1 * std::log(shape_.rope.factor) + 1 : 1;
    for (size_t i = 0; i < d / 2; ++i) {
      double &a = row[head * d + i], &b = row[head * d + i + d / 2];
      const double angle = static_cast<double>(position) * frequency(i);
      const double c = amplitude * std::cos(angle), s = amplitude * std::sin(angle);
      const double turned = a * c - b * s;
      b = b * c + a * s;
      a = turned;
    }
  }

  Rows attention(int64_t layer, const std::string& name, const Rows& in) const {
    const size_t heads = size(shape_.heads), keys = size(shape_.kv_heads), d = size(shape_.head_dim);
    Rows qkv, out;
    for (size_t t = 0; t < in.size(); ++t) {
      qkv.push_back(linear(name + ".qkv", in[t]));
      for (size_t head = 0; head < heads + keys; ++head) turn(qkv[t], head, t);
    }
    const bool windowed = layer % 2 == 0;  // the first, third, ... layer
    for (size_t t = 0; t < in.size(); ++t) {
      Values core(heads * d, 0.0);
      const size_t window = size(shape_.window_keys), first = windowed && t + 1 > window ? t + 1 - window : 0;
      for (size_t head = 0; head < heads; ++head) {
        const size_t key = (heads + head / (heads / keys)) * d, value = key + keys * d;
        Values p;
        double total = shape_.sinks ? std::exp(of(name + ".sinks")[head]) : 0;
        for (size_t j = first; j <= t; ++j) {
          double score = 0;
          for (size_t c = 0; c < d; ++c) score += qkv[t][head * d + c] * qkv[j][key + c];
          p.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
          total += p.back();
        }
        for (size_t j = first; j <= t; ++j)
          for (size_t c = 0; c < d; ++c) core[head * d + c] += p[j - first] / total * qkv[j][value + c];
      }
      out.push_back(linear(name + ".output", core));
    }
    return out;
  }

  Values experts(const std::string& name, const Values& x) const {
    const Values logits = linear(name + ".router", x);
    std::vector<size_t> order(logits.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    order.resize(size(shape_.experts_per_token));
    double total = 0;  // the softmax runs over the chosen ones alone
    for (size_t expert : order) total += std::exp(logits[expert]);
    Values y(x.size(), 0.0);
    for (size_t expert : order) {
      const std::string base = name + ".experts";
      const size_t ffn = size(shape_.ffn);
      const Values h = product(base + ".fc1.weight", base + ".fc1.bias", x, 2 * ffn, expert);
      Values a(ffn);
      for (size_t f = 0; f < ffn; ++f) {
        const double g = std::min(h[f], 7.0), u = std::clamp(h[ffn + f], -7.0, 7.0);
        a[f] = g / (1 + std::exp(-1.702 * g)) * (u + 1);
      }
      const Values part = product(base + ".fc2.weight", base + ".fc2.bias", a, x.size(), expert);
      for (size_t c = 0; c < y.size(); ++c) y[c] += std::exp(logits[expert]) / total * part[c];
    }
    return y;
  }

  ModelShape shape_;
  std::map<std::string, Values> parameters_;
};

TEST(ReferenceModel, LossIsThatOfPlainLoops) {
  for (const char* form : {"submitted", "published"}) {
    const RunConfig config = small_config("1m", {{"form", form},
                                                 {"device.dtype", "f64"},
                                                 {"train.global_batch", "2"},
                                                 {"train.micro_batch", "2"},
                                                 {"evaluation.every_samples", "2"}});
    Machine machine(config);
    // Biases and sinks start at 0, norms at 1, where mistakes hide: move everything off its start.
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (int i = 0; i < machine.model->parameters().size(); ++i) {
      const Tensor weight = machine.executor.parameters().weight({i});
      Values values = to_host(weight, machine.executor.stream());
      for (double& value : values) value += 0.1 * normal(random);
      from_host(weight, values, machine.executor.stream());
    }
    const Reference reference(machine);
    const HostBatch batch = random_batch(config, 2, 11);
    double expected = 0;
    for (int64_t row = 0; row < batch.rows; ++row) {
      const auto begin = batch.tokens.begin() + row * batch.row_length;
      expected += 0.5 * reference.loss({begin, begin + batch.row_length});
    }
    EXPECT_NEAR(machine.mean_loss(batch), expected, 1e-10) << form;
  }
}

}  // namespace
}  // namespace timetrial::testing
