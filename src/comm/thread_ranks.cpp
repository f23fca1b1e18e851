// Collectives straight between the memories of threads, and the threads themselves.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/thread_ranks.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/reduce.h"
#include "comm/thread_hub.h"
#include "timetrial/base/identity.h"
#include "timetrial/comm/nccl.h"

namespace timetrial::comm {

namespace {

// Pieces of an all_reduce end on whole cache lines, so that no two ranks write into one.
constexpr int64_t kPieceAlignment = 64;

void copy_elements(const Tensor& to, int64_t to_begin, const Tensor& from, int64_t from_begin, int64_t count) {
  const size_t size = size_of(to.dtype());
  std::byte* target = static_cast<std::byte*>(to.raw()) + static_cast<size_t>(to_begin) * size;
  const std::byte* source = static_cast<const std::byte*>(from.raw()) + static_cast<size_t>(from_begin) * size;
  if (count > 0 && target != source) std::memcpy(target, source, static_cast<size_t>(count) * size);
}

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadHub> hub, std::string name, int rank, double deadline)
      : Communicator(std::move(name), rank, hub->size(), deadline), hub_(std::move(hub)) {}

  void abort(const std::string& why) noexcept override {
    try {
      hub_->world().fail(why);
    } catch (const std::exception&) {
      // No memory for the text: the others run into their deadline.
    }
  }

 private:
  void run(const Call& call) override {
    TIMETRIAL_CHECK(call.stream.device.kind == DeviceKind::cpu, "threads exchange host memory alone, not {}",
                    call.stream.device.text());
    hub_->meet(rank(), call, deadline());
    move(call);
    hub_->part(rank(), deadline());
  }

  std::unique_ptr<Communicator> make_split(const Call& call, const std::string& name) override {
    hub_->meet(rank(), call, deadline());
    int part_rank = 0, part_size = 0;
    for (int other = 0; other < size(); ++other) {
      if (hub_->call_of(other).root != call.root) continue;
      if (other < rank()) ++part_rank;
      ++part_size;
    }
    auto part = hub_->part_of(call, name, part_size);
    hub_->part(rank(), deadline());
    if (part_size == 1) return make_single(name);
    return std::make_unique<ThreadCommunicator>(std::move(part), name, part_rank, deadline());
  }

  // Piece `index` of `pieces` that begin on kPieceAlignment.
  static std::pair<int64_t, int64_t> piece(int64_t elements, int index, int pieces) {
    const int64_t blocks = (elements + kPieceAlignment - 1) / kPieceAlignment;
    const auto at = [&](int64_t i) { return std::min(elements, blocks * i / pieces * kPieceAlignment); };
    return {at(index), at(index + 1)};
  }

  std::vector<const void*> inputs() const {
    std::vector<const void*> all;
    for (int other = 0; other < size(); ++other) all.push_back(hub_->call_of(other).in.raw());
    return all;
  }

  // Each rank works on one piece; no other rank touches what it reads and writes there.
  void move(const Call& call) {
    switch (call.kind) {
      case Collective::all_reduce: {
        const auto [begin, end] = piece(call.in.elements(), rank(), size());
        std::vector<void*> outputs;
        for (int other = 0; other < size(); ++other) outputs.push_back(hub_->call_of(other).out.raw());
        if (begin < end) reduce({call.in.dtype(), call.reduction, inputs(), outputs, begin, end});
        return;
      }
      case Collective::reduce_scatter: {
        const int64_t count = call.out.elements();
        std::vector<const void*> pieces = inputs();
        const auto offset = static_cast<size_t>(count * rank()) * size_of(call.in.dtype());
        for (const void*& data : pieces) data = static_cast<const std::byte*>(data) + offset;
        void* output = call.out.raw();
        if (count > 0) reduce({call.in.dtype(), call.reduction, pieces, {&output, 1}, 0, count});
        return;
      }
      case Collective::all_gather: {
        const int64_t count = call.in.elements();
        for (int other = 0; other < size(); ++other)
          copy_elements(call.out, count * other, hub_->call_of(other).in, 0, count);
        return;
      }
      case Collective::broadcast:
        return copy_elements(call.out, 0, hub_->call_of(call.root).in, 0, call.in.elements());
      case Collective::all_to_all: {
        int64_t to = 0;
        for (int other = 0; other < size(); ++other) {
          const Call& theirs = hub_->call_of(other);
          int64_t from = 0;
          for (int before = 0; before < rank(); ++before) from += theirs.in_counts[static_cast<size_t>(before)];
          const int64_t count = call.out_counts[static_cast<size_t>(other)];
          copy_elements(call.out, to, theirs.in, from, count);
          to += count;
        }
        return;
      }
      case Collective::barrier:
      case Collective::split:
        return;
    }
  }

  std::shared_ptr<ThreadHub> hub_;
};

// What the bootstraps of one process share.
struct Process {
  explicit Process(int ranks)
      : world(std::make_shared<ThreadWorld>()),
        messages(world, "bootstrap", ranks),
        ranks_hub(std::make_shared<ThreadHub>(world, "world", ranks)),
        texts(static_cast<size_t>(ranks)) {}
  std::shared_ptr<ThreadWorld> world;
  ThreadHub messages;
  std::shared_ptr<ThreadHub> ranks_hub;
  std::vector<std::string> texts;
  std::mutex mutex;
  std::string over;  // why; empty while all is well
  std::vector<std::function<void(const std::string&)>> listeners;
};

class ThreadBootstrap final : public Bootstrap {
 public:
  ThreadBootstrap(Process& process, int rank) : process_(process), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return process_.messages.size(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return size(); }

  std::vector<std::string> all_gather(const std::string& mine) override {
    process_.texts[static_cast<size_t>(rank_)] = mine;  // nobody reads before all have met
    process_.messages.meet(
        rank_, {.kind = Collective::all_gather, .out = {}, .in = {}, .purpose = "text", .sequence = calls_++},
        Deadlines().init);
    std::vector<std::string> all = process_.texts;
    process_.messages.part(rank_, Deadlines().init);
    return all;
  }

  std::unique_ptr<Communicator> make_world(Device device, const Deadlines& deadlines) override {
    if (size() == 1) return make_single("world");
    if (device.kind == DeviceKind::cuda) return make_nccl_world(*this, device, deadlines);
    // The first meeting may wait for a slow start; the deadline of a call holds from then on.
    auto communicator = std::make_unique<ThreadCommunicator>(process_.ranks_hub, "world", rank_, deadlines.init);
    communicator->barrier({{}, "start"});
    communicator->set_deadline(deadlines.call);
    return communicator;
  }

  void when_over(std::function<void(const std::string&)> over) override {
    const std::lock_guard lock(process_.mutex);
    if (!process_.over.empty()) over(process_.over);
    process_.listeners.push_back(std::move(over));
  }

  void abort(const std::string& why) noexcept override {
    try {
      process_.world->fail(why);
      const std::lock_guard lock(process_.mutex);
      if (process_.over.empty()) process_.over = why;
      for (const auto& listener : process_.listeners) listener(process_.over);
    } catch (const std::exception&) {
      // No memory for the text: the others run into their deadline.
    }
  }

 private:
  Process& process_;
  int rank_;
  int64_t calls_ = 0;
};

class SingleBootstrap final : public Bootstrap {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  std::vector<std::string> all_gather(const std::string& mine) override { return {mine}; }
  std::unique_ptr<Communicator> make_world(Device, const Deadlines&) override { return make_single("world"); }
  void abort(const std::string&) noexcept override {}
};

}  // namespace

std::unique_ptr<Bootstrap> make_single_bootstrap() { return std::make_unique<SingleBootstrap>(); }

void run_thread_ranks(int ranks, const std::function<void(Bootstrap&)>& rank) {
  TIMETRIAL_CHECK(ranks > 0, "{} ranks", ranks);
  Process process(ranks);
  std::mutex mutex;
  std::exception_ptr cause, echo;  // an error of a rank's own; what others say about it
  const auto failed = [&](ThreadBootstrap& bootstrap, const std::string& what, bool own) {
    {
      const std::lock_guard lock(mutex);
      std::exception_ptr& first = own ? cause : echo;
      if (!first) first = std::current_exception();
    }
    bootstrap.abort(fmt::format("rank {} ended: {}", bootstrap.rank(), what));
  };
  std::vector<std::thread> threads;
  for (int index = 0; index < ranks; ++index) {
    threads.emplace_back([&, index] {
      set_thread_rank(index);
      ThreadBootstrap bootstrap(process, index);
      try {
        rank(bootstrap);
      } catch (const CommError& error) {
        failed(bootstrap, error.what(), false);
      } catch (const std::exception& error) {
        failed(bootstrap, error.what(), true);
      } catch (...) {
        failed(bootstrap, "for an unknown reason", true);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (cause) std::rethrow_exception(cause);
  if (echo) std::rethrow_exception(echo);
}

}  // namespace timetrial::comm
