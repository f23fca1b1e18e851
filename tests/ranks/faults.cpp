// Communicators and models that pass everything on but one thing.
// SPDX-License-Identifier: Apache-2.0
#include "ranks/faults.h"

#include <cstring>
#include <utility>

#include "fixtures/meddler.h"

namespace timetrial::testing {

namespace {

Meddling by(const Meddler::Change& change) {
  return {.world =
              [change](std::unique_ptr<comm::Communicator> world) {
                return std::make_unique<Meddler>(std::move(world), change);
              },
          .model = {}};
}

// Passes everything on to a model of its own.
class ModelBetween : public Model {
 public:
  explicit ModelBetween(std::unique_ptr<Model> inner) : inner_(std::move(inner)) {}
  const ParameterList& parameters() const override { return inner_->parameters(); }
  void plan_forward(Plan& plan, int64_t tokens) const override { inner_->plan_forward(plan, tokens); }
  void plan_backward(Plan& plan, int64_t tokens) const override { inner_->plan_backward(plan, tokens); }
  void forward(const Tensor& loss, const MicroBatch& batch, Pass& pass) const override {
    inner_->forward(loss, batch, pass);
  }
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override {
    inner_->backward(batch, loss_scale, pass);
  }
  std::vector<Tensor> expert_begins(const Pass& pass) const override { return inner_->expert_begins(pass); }

 private:
  std::unique_ptr<Model> inner_;
};

class Undivided final : public ModelBetween {
 public:
  Undivided(std::unique_ptr<Model> inner, double micro_batches)
      : ModelBetween(std::move(inner)), micro_batches_(micro_batches) {}
  void backward(const MicroBatch& batch, double loss_scale, Pass& pass) const override {
    ModelBetween::backward(batch, loss_scale * micro_batches_, pass);
  }

 private:
  double micro_batches_;
};

class OneUse final : public ModelBetween {
 public:
  explicit OneUse(std::unique_ptr<Model> inner) : ModelBetween(std::move(inner)) {
    const ParameterList& list = ModelBetween::parameters();
    for (int i = 0; i < list.size(); ++i) {
      ParameterSpec single = list[{i}];
      single.uses = 1;
      double rate = 0;
      for (const ExpertBias& bias : list.expert_biases())
        if (bias.id.index == i) rate = bias.rate;
      if (single.trainable) {
        list_.add(single);
      } else {
        list_.add_expert_bias(single.name, single.shape.elements(), rate);
      }
    }
  }
  const ParameterList& parameters() const override { return list_; }

 private:
  ParameterList list_;
};

}  // namespace

Meddling doubled_axis() {
  return by([](comm::Communicator& inner, const comm::Call& call) {
    if (call.kind != comm::Collective::reduce_scatter) return false;
    Meddler::pass_on(inner, call);
    std::vector<double> values = to_host(call.out, call.stream);
    for (double& value : values) value *= inner.size();
    from_host(call.out, values, call.stream);
    return true;
  });
}

Meddling dropped_division() {
  return {.world = {}, .model = [](std::unique_ptr<Model> model, const RunConfig& config) {
            return std::make_unique<Undivided>(std::move(model), static_cast<double>(config.accumulation()));
          }};
}

Meddling lost_tied_gradient() {
  return {.world = {}, .model = [](std::unique_ptr<Model> model, const RunConfig&) {
            return std::make_unique<OneUse>(std::move(model));
          }};
}

Meddling wrong_reduce_group() {
  return by([](comm::Communicator& inner, const comm::Call& call) {
    if (call.kind != comm::Collective::reduce_scatter || inner.name() != "expert data") return false;
    const int64_t count = call.out.elements();
    const OwnedTensor all(call.in.dtype(), {call.in.elements() * inner.size()});
    inner.all_gather(all, call.in, {call.stream, call.purpose});
    const std::vector<double> values = to_host(all, call.stream);
    std::vector<double> sum(static_cast<size_t>(count));
    const int pair = inner.rank() / 2 * 2;
    for (const int rank : {pair, pair + 1})
      for (int64_t i = 0; i < count; ++i)
        sum[static_cast<size_t>(i)] +=
            values[static_cast<size_t>(rank * call.in.elements() + inner.rank() * count + i)];
    from_host(call.out, sum, call.stream);
    return true;
  });
}

Meddling skipped_sum(const std::string& purpose) {
  return by([purpose](comm::Communicator&, const comm::Call& call) { return call.purpose == purpose; });
}

Meddling stale_weights() {
  return by([](comm::Communicator&, const comm::Call& call) { return call.purpose == "weights"; });
}

}  // namespace timetrial::testing
