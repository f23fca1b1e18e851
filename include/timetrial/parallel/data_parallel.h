// DataParallel: gradients summed bucket by bucket under backward, weights gathered under the next forward.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "timetrial/parallel/comm_lane.h"
#include "timetrial/parallel/process_mesh.h"

namespace timetrial {

// Attached to one store for its life. With one rank every member does nothing, at no cost. One thread drives it;
// `stream` is the compute stream, always the same.
class DataParallel {
 public:
  // round_gradients: what travels is rounded to bf16 first, and its sum again.
  DataParallel(ParameterStore& store, ProcessMesh& mesh, StreamRef stream, bool round_gradients);
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  // From here on a bucket is reduced as soon as `micro_batches` backwards have filled it.
  void begin_step(int micro_batches);
  // Queues the sum over all data ranks of x, in place; done when finish_gradients returns.
  void queue_sum(const Tensor& x, std::string_view purpose);
  // Queues the largest value over the world, in place; done when finish_gradients returns.
  void queue_maximum(const Tensor& x, std::string_view purpose);
  // After backward: this rank's shards of all gradients are sums over the ranks, and queued sums are done.
  void finish_gradients();
  // The sum over the world of what the ranks hold, in place, before anything later on the stream.
  void sum_now(const Tensor& x, std::string_view purpose);
  // After the update: every rank gets the other ranks' shards, in the order in which forward needs them. Reading a
  // weight through the store waits for its bucket alone.
  void gather_weights();
  void settle();  // all gathers are done

  // Everybody's values in rank order, all of one count: mine[0..n) of rank 0, of rank 1, ... Waits.
  std::vector<double> gather_values(const std::vector<double>& mine, std::string_view purpose);
  // Waits for the stream with the mesh's deadline instead of for ever.
  void wait();
  // The same for a part of the work; `done` says whether it is.
  void wait_until(const std::function<bool()>& done);
  ProcessMesh& mesh() { return mesh_; }
  CommLane::Times times() { return lane_.times(); }

 private:
  void reduce(size_t bucket);
  void needed(size_t bucket);

  ParameterStore& store_;
  ProcessMesh& mesh_;
  StreamRef stream_;
  bool round_gradients_;
  std::vector<size_t> forward_order_;  // of the buckets
  std::vector<CommLane::Ticket> gathers_;
  CommLane::Ticket last_;  // of anything
  OwnedTensor mine_, all_;
  CommLane lane_;  // last: nothing of it runs when the rest goes
};

}  // namespace timetrial
