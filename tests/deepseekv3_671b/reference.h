// The training objective over again in plain loops in double, one sequence at a time, written from the spec (1.3, 2.5,
// 3.3, 3.4, 5) and sharing no code with the ops or blocks. SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "deepseekv3_671b/fixture.h"

namespace timetrial::testing {

struct Objective {
  double main = 0;       // mean nats per token
  double predicted = 0;  // mean nats of the tokens after next
  double balance = 0;    // sum of the layers' auxiliary losses, without coefficient
  double total(const ModelShape& shape) const {
    return main + shape.multi_token.weight * predicted + shape.router.aux_loss * balance;
  }
};

class Reference {
 public:
  using Values = std::vector<double>;
  using Rows = std::vector<Values>;

  explicit Reference(Machine& machine) : shape_(machine.config.model) {
    for (int i = 0; i < machine.size(); ++i)
      parameters[machine.specs()[static_cast<size_t>(i)].name] = machine.weight({i});
  }

  std::map<std::string, Values> parameters;
  mutable std::map<std::string, Values> counts;  // tokens per expert of each router, accumulated

  // Mean over the rows of a batch; every row counts the same.
  Objective objective(const HostBatch& batch) const {
    Objective mean;
    for (int64_t row = 0; row < batch.rows; ++row) {
      const auto begin = batch.tokens.begin() + row * batch.row_length;
      const Objective one = of_sequence({begin, begin + batch.row_length});
      const auto rows = static_cast<double>(batch.rows);
      mean.main += one.main / rows;
      mean.predicted += one.predicted / rows;
      mean.balance += one.balance / rows;
    }
    return mean;
  }

 private:
  static size_t size(int64_t value) { return static_cast<size_t>(value); }
  const Values& of(const std::string& name) const { return parameters.at(name); }

  Objective of_sequence(const std::vector<int32_t>& tokens) const {
    const size_t length = tokens.size() - 1;
    Objective result;
    Rows x;
    for (size_t t = 0; t < length; ++t) x.push_back(embedded(tokens[t]));
    for (int64_t i = 0; i < shape_.layers; ++i)
      layer(fmt::format("layers.{}", i), i < shape_.dense_layers, x, result.balance);
    const Rows state = norm("head.norm", x);
    for (size_t t = 0; t < length; ++t) result.main += nats(state[t], tokens[t + 1]) / static_cast<double>(length);
    if (shape_.multi_token.modules == 0) return result;

    // Position t joins the embedding of token t + 1 (id 0 at the end) with the state, and predicts token t + 2.
    Rows next;
    for (size_t t = 0; t < length; ++t) next.push_back(embedded(t + 1 < length ? tokens[t + 1] : 0));
    next = norm("prediction.embedding_norm", next);
    const Rows states = norm("prediction.hidden_norm", state);
    Rows c;
    for (size_t t = 0; t < length; ++t) {
      Values joined = next[t];
      joined.insert(joined.end(), states[t].begin(), states[t].end());
      c.push_back(product("prediction.projection.weight", joined, size(shape_.hidden)));
    }
    layer("prediction.layer", false, c, result.balance);
    c = norm("prediction.norm", c);
    for (size_t t = 0; t + 1 < length; ++t)
      result.predicted += nats(c[t], tokens[t + 2]) / static_cast<double>(length - 1);
    return result;
  }

  Values embedded(int32_t id) const {
    const auto begin = of("embedding.weight").begin() + id * shape_.hidden;
    return {begin, begin + shape_.hidden};
  }

  double nats(const Values& state, int32_t label) const {
    const Values logits = product("head.output.weight", state, size(shape_.vocabulary));
    double total = 0;
    for (const double logit : logits) total += std::exp(logit);
    return std::log(total) - logits[size(label)];
  }

  void layer(const std::string& name, bool dense, Rows& x, double& balance) const {
    add(x, attention(name + ".attention", norm(name + ".attention_norm", x)));
    Rows fed = norm(name + ".mlp_norm", x);
    if (!dense) {
      add(x, experts(name + ".mlp", fed, balance));
      return;
    }
    for (Values& row : fed) row = gated(name + ".mlp", row, size(shape_.dense_ffn));
    add(x, fed);
  }

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

  // y = W x with the `index`-th of the matrices stored one after another.
  Values product(const std::string& weight, const Values& x, size_t outputs, size_t index = 0) const {
    Values y(outputs);
    for (size_t o = 0; o < outputs; ++o) {
      const auto row = of(weight).begin() + static_cast<std::ptrdiff_t>((index * outputs + o) * x.size());
      y[o] = std::inner_product(x.begin(), x.end(), row, 0.0);
    }
    return y;
  }

  Values gated(const std::string& name, const Values& x, size_t ffn, size_t index = 0) const {
    const Values h = product(name + ".fc1.weight", x, 2 * ffn, index);
    Values a(ffn);
    for (size_t f = 0; f < ffn; ++f) a[f] = h[f] / (1 + std::exp(-h[f])) * h[ffn + f];
    return product(name + ".fc2.weight", a, x.size(), index);
  }

  // YaRN with whole bounds (spec 2.5), amplitude 1.
  double frequency(size_t pair) const {
    const RopeSpec& rope = shape_.rope;
    const auto d = static_cast<double>(shape_.latent.rope_dim), i = static_cast<double>(pair);
    const double plain = std::pow(rope.base, -2 * i / d);
    const auto bound = [&](double turns) {
      return d * std::log(rope.original_length / (turns * 2 * std::numbers::pi)) / (2 * std::log(rope.base));
    };
    const double low = std::max(0.0, std::floor(bound(rope.beta_fast)));
    const double high = std::min(d - 1, std::ceil(bound(rope.beta_slow)));
    const double ramp = std::min(1.0, std::max(0.0, (i - low) / (high - low)));
    return ramp * plain / rope.factor + (1 - ramp) * plain;
  }

  // Adjacent pairs of `count` channels from `at` on.
  void turn(Values& row, size_t at, size_t position) const {
    for (size_t i = 0; i < size(shape_.latent.rope_dim) / 2; ++i) {
      double &a = row[at + 2 * i], &b = row[at + 2 * i + 1];
      const double angle = static_cast<double>(position) * frequency(i), even = a;
      a = even * std::cos(angle) - b * std::sin(angle);
      b = b * std::cos(angle) + even * std::sin(angle);
    }
  }

  Rows attention(const std::string& name, const Rows& in) const {
    const LatentSpec& l = shape_.latent;
    const size_t heads = size(shape_.heads), nope = size(l.nope_dim), rope = size(l.rope_dim),
                 value = size(l.value_dim);
    const double magnitude = 0.1 * std::log(shape_.rope.factor) + 1;
    const double scale = magnitude * magnitude / std::sqrt(static_cast<double>(nope + rope));
    Rows q, kv, shared, out;
    for (size_t t = 0; t < in.size(); ++t) {
      const Values c_q = norm(name + ".q_norm", {product(name + ".q_down.weight", in[t], size(l.query_rank))})[0];
      q.push_back(product(name + ".q_up.weight", c_q, heads * (nope + rope)));
      for (size_t h = 0; h < heads; ++h) turn(q[t], h * (nope + rope) + nope, t);
      Values compressed = product(name + ".kv_down.weight", in[t], size(l.kv_rank) + rope);
      Values key(compressed.begin() + l.kv_rank, compressed.end());
      turn(key, 0, t);
      shared.push_back(key);
      compressed.resize(size(l.kv_rank));
      const Values c_kv = norm(name + ".kv_norm", {compressed})[0];
      kv.push_back(product(name + ".kv_up.weight", c_kv, heads * (nope + value)));
    }
    for (size_t t = 0; t < in.size(); ++t) {
      Values core(heads * value, 0.0);
      for (size_t h = 0; h < heads; ++h) {
        Values p;
        double total = 0;
        for (size_t j = 0; j <= t; ++j) {
          double score = 0;
          for (size_t c = 0; c < nope; ++c) score += q[t][h * (nope + rope) + c] * kv[j][h * (nope + value) + c];
          for (size_t c = 0; c < rope; ++c) score += q[t][h * (nope + rope) + nope + c] * shared[j][c];
          p.push_back(std::exp(scale * score));
          total += p.back();
        }
        for (size_t j = 0; j <= t; ++j)
          for (size_t c = 0; c < value; ++c) core[h * value + c] += p[j] / total * kv[j][h * (nope + value) + nope + c];
      }
      out.push_back(product(name + ".output.weight", core, in[t].size()));
    }
    return out;
  }

  // Indices of the `count` largest, ties to the lower index.
  static std::vector<size_t> best(const Values& values, size_t count) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
    order.resize(count);
    return order;
  }

  std::vector<size_t> select(const Values& score, const Values& bias) const {
    const RouterSpec& r = shape_.router;
    const size_t groups = size(r.groups), per_group = score.size() / groups, choices = size(shape_.experts_per_token);
    Values biased(score.size()), group_score;
    for (size_t e = 0; e < score.size(); ++e) biased[e] = score[e] + bias[e];
    for (size_t g = 0; g < groups; ++g) {
      const auto first = biased.begin() + static_cast<std::ptrdiff_t>(g * per_group);
      const Values of_group(first, first + static_cast<std::ptrdiff_t>(per_group));
      double sum = 0;
      for (const size_t e : best(of_group, choices / size(r.kept_groups))) sum += of_group[e];
      group_score.push_back(sum);
    }
    const std::vector<size_t> kept = best(group_score, size(r.kept_groups));
    for (size_t e = 0; e < biased.size(); ++e)
      if (std::find(kept.begin(), kept.end(), e / per_group) == kept.end()) biased[e] = -INFINITY;
    return best(biased, choices);
  }

  Rows experts(const std::string& name, const Rows& in, double& balance) const {
    const size_t count = size(shape_.experts), length = in.size();
    const Values& bias = of(name + ".router.expert_bias");
    Values plain(count, 0.0), mass(count, 0.0);
    Values& real = counts.try_emplace(name + ".router.expert_bias", count, 0.0).first->second;
    Rows out;
    for (const Values& x : in) {
      Values score = product(name + ".router.weight", x, count);
      for (double& s : score) s = 1 / (1 + std::exp(-s));
      const std::vector<size_t> chosen = select(score, bias);
      double sum = 0;
      for (const size_t e : chosen) sum += score[e];
      Values y = gated(name + ".shared", x, size(shape_.shared_ffn));
      for (const size_t e : chosen) {
        ++real[e];
        const Values part = gated(name + ".experts", x, size(shape_.ffn), e);
        for (size_t c = 0; c < y.size(); ++c) y[c] += shape_.router.scaling * score[e] / sum * part[c];
      }
      out.push_back(y);
      const double all = std::accumulate(score.begin(), score.end(), 0.0);
      for (size_t e = 0; e < count; ++e) mass[e] += score[e] / all;
      for (const size_t e : best(score, size(shape_.experts_per_token))) ++plain[e];
    }
    const auto t = static_cast<double>(length), k = static_cast<double>(shape_.experts_per_token);
    for (size_t e = 0; e < count; ++e) balance += static_cast<double>(count) / (k * t * t) * plain[e] * mass[e];
    return out;
  }

  ModelShape shape_;
};

}  // namespace timetrial::testing
