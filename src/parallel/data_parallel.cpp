// Reduce-scatters, gathers and sums on the lane, in one order on all ranks.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/data_parallel.h"

#include <algorithm>
#include <exception>
#include <numeric>

#include "timetrial/ops/rounding.h"

namespace timetrial {

namespace {

// Tickets that a bucket's gather may have to outlive before it is awaited: sums of a step and of an evaluation.
constexpr size_t kSums = 8;

Tensor shard_of(const Tensor& whole, const ParameterStore::Group& bucket) {
  return whole.rows(bucket.shard_begin, bucket.shard_end);
}

}  // namespace

DataParallel::DataParallel(ParameterStore& store, ProcessMesh& mesh, StreamRef stream, bool round_gradients)
    : store_(store),
      mesh_(mesh),
      stream_(stream),
      round_gradients_(round_gradients),
      forward_order_(store.groups().size()),
      gathers_(store.groups().size()),
      lane_(stream.device, store.groups().size() + kSums) {
  if (mesh.alone()) return;
  std::iota(forward_order_.begin(), forward_order_.end(), size_t{0});
  std::sort(forward_order_.begin(), forward_order_.end(), [&](size_t a, size_t b) {
    return store_.groups()[a].first_parameter < store_.groups()[b].first_parameter;
  });
  store_.watch({.filled = [this](size_t bucket) { reduce(bucket); },
                .needed = [this](size_t bucket) { needed(bucket); },
                .read = [this] { wait(); }});
}

DataParallel::~DataParallel() {
  if (mesh_.alone()) return;
  store_.watch({});
  // On the way out of an error the others will not come: whoever waits for them on the lane must not wait, nor the
  // device whose memory is about to go. The wait is what ends the groups there.
  if (std::uncaught_exceptions() > 0) {
    if (lane_.idle()) return;
    mesh_.world().abort(fmt::format("rank {} ended early", mesh_.rank()));
    try {
      wait();
    } catch (const std::exception&) {
      // The reason that was just given.
    }
    return;
  }
  try {
    settle();  // the others wait for this rank's weights
  } catch (const std::exception&) {
    // They are gone; the error was theirs, and whoever ran this rank has been told by a call before.
  }
}

void DataParallel::begin_step(int micro_batches) {
  if (!mesh_.alone()) store_.expect(micro_batches);
}

void DataParallel::reduce(size_t bucket) {
  const ParameterStore::Group& group = store_.groups()[bucket];
  if (round_gradients_) ops::round_to_bfloat16({.x = group.gradients}, stream_);
  last_ = lane_.give(
      [this, &group](StreamRef lane) {
        mesh_.reducing(group.reduce)
            .reduce_scatter(shard_of(group.gradients, group), group.gradients, {lane, "gradients"});
        if (round_gradients_) ops::round_to_bfloat16({.x = shard_of(group.gradients, group)}, lane);
      },
      stream_);
}

void DataParallel::queue_sum(const Tensor& x, std::string_view purpose) {
  if (mesh_.alone() || x.elements() == 0) return;
  last_ = lane_.give(
      [this, x, purpose](StreamRef lane) {
        mesh_.reducing(ReduceGroup::dense).all_reduce(x, {lane, purpose});
      },
      stream_);
}

void DataParallel::queue_maximum(const Tensor& x, std::string_view purpose) {
  if (mesh_.alone()) return;
  last_ = lane_.give(
      [this, x, purpose](StreamRef lane) {
        mesh_.world().all_reduce(x, {lane, purpose}, comm::Reduction::max);
      },
      stream_);
}

void DataParallel::finish_gradients() {
  if (mesh_.alone()) return;
  store_.expect(0);
  lane_.await(last_, stream_);
}

void DataParallel::sum_now(const Tensor& x, std::string_view purpose) {
  if (mesh_.alone()) return;
  last_ = lane_.give([this, x, purpose](StreamRef lane) { mesh_.world().all_reduce(x, {lane, purpose}); }, stream_);
  lane_.await(last_, stream_);
}

void DataParallel::gather_weights() {
  if (mesh_.alone()) return;
  for (const size_t bucket : forward_order_) {
    const ParameterStore::Group& group = store_.groups()[bucket];
    last_ = gathers_[bucket] = lane_.give(
        [this, &group](StreamRef lane) {
          mesh_.reducing(group.reduce).all_gather(group.weights, shard_of(group.weights, group), {lane, "weights"});
        },
        stream_);
  }
}

void DataParallel::needed(size_t bucket) {
  if (gathers_[bucket].number < 0) return;
  lane_.await(gathers_[bucket], stream_);
  gathers_[bucket] = {};
}

void DataParallel::settle() {
  for (size_t bucket = 0; bucket < gathers_.size(); ++bucket) needed(bucket);
}

std::vector<double> DataParallel::gather_values(const std::vector<double>& mine, std::string_view purpose) {
  if (mesh_.alone()) return mine;
  const auto count = static_cast<int64_t>(mine.size());
  if (!mine_.view() || mine_.view().elements() != count) {
    mine_ = OwnedTensor(DType::f64, {count}, stream_.device);
    all_ = OwnedTensor(DType::f64, {count * mesh_.world().size()}, stream_.device);
  }
  wait();
  from_host(mine_, mine, stream_);
  last_ = lane_.give(
      [this, purpose](StreamRef lane) {
        mesh_.world().all_gather(all_, mine_, {lane, purpose});
      },
      stream_);
  lane_.await(last_, stream_);
  wait();
  return to_host(all_, stream_);
}

void DataParallel::wait() {
  if (!mesh_.alone()) mesh_.world().wait(stream_);
}

void DataParallel::wait_until(const std::function<bool()>& done) {
  if (!mesh_.alone()) mesh_.world().wait_until(done);
}

}  // namespace timetrial
