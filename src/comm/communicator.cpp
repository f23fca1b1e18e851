// What every implementation shares: checks of the arguments, call numbers, groups of one.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/communicator.h"

#include <fmt/ranges.h>

#include <numeric>

namespace timetrial::comm {

namespace {

constexpr size_t kMostNamed = 8;  // ranks listed one by one in an error

void check_element_type(std::string_view collective, const Tensor& out, const Tensor& in) {
  TIMETRIAL_CHECK(out.dtype() == in.dtype(), "{}: {} from {}", collective, name_of(out.dtype()), name_of(in.dtype()));
}

void check_devices(const Call& call) {
  for (const Tensor& tensor : {call.out, call.in})
    TIMETRIAL_CHECK(!tensor || tensor.device() == call.stream.device, "{}: memory on {}, stream on {}",
                    name_of(call.kind), tensor.device().text(), call.stream.device.text());
}

int64_t sum_of(std::span<const int64_t> counts) { return std::accumulate(counts.begin(), counts.end(), int64_t{0}); }

class SingleCommunicator final : public Communicator {
 public:
  explicit SingleCommunicator(const std::string& name) : Communicator(name, 0, 1, Deadlines().call) {}
  void abort(const std::string&) noexcept override {}

 private:
  void run(const Call& call) override { throw Error(fmt::format("{} between ranks of one", text_of(call))); }
  std::unique_ptr<Communicator> make_split(const Call&, const std::string& name) override { return make_single(name); }
};

}  // namespace

std::string_view name_of(Collective kind) {
  switch (kind) {
    case Collective::all_reduce:
      return "all_reduce";
    case Collective::reduce_scatter:
      return "reduce_scatter";
    case Collective::all_gather:
      return "all_gather";
    case Collective::broadcast:
      return "broadcast";
    case Collective::all_to_all:
      return "all_to_all";
    case Collective::barrier:
      return "barrier";
    case Collective::split:
      return "split";
  }
  throw Error("unknown collective");
}

std::string text_of(const Call& call) {
  return fmt::format("{} \"{}\" (call {})", name_of(call.kind), call.purpose, call.sequence);
}

std::string ranks_text(const std::vector<int>& ranks) {
  if (ranks.size() == 1) return fmt::format("rank {}", ranks.front());
  if (ranks.size() > kMostNamed) return fmt::format("{} ranks, the first {}", ranks.size(), ranks.front());
  return fmt::format("ranks {} and {}", fmt::join(ranks.begin(), ranks.end() - 1, ", "), ranks.back());
}

void Communicator::all_reduce(const Tensor& x, const On& on, Reduction reduction) {
  issue({.kind = Collective::all_reduce,
         .out = x,
         .in = x,
         .reduction = reduction,
         .stream = on.stream,
         .purpose = on.purpose});
}

void Communicator::reduce_scatter(const Tensor& out, const Tensor& in, const On& on) {
  TIMETRIAL_CHECK(in.elements() == out.elements() * size_, "reduce_scatter of {} elements into {} x {}", in.elements(),
                  size_, out.elements());
  issue({.kind = Collective::reduce_scatter, .out = out, .in = in, .stream = on.stream, .purpose = on.purpose});
}

void Communicator::all_gather(const Tensor& out, const Tensor& in, const On& on) {
  TIMETRIAL_CHECK(out.elements() == in.elements() * size_, "all_gather of {} x {} elements into {}", size_,
                  in.elements(), out.elements());
  issue({.kind = Collective::all_gather, .out = out, .in = in, .stream = on.stream, .purpose = on.purpose});
}

void Communicator::broadcast(const Tensor& x, int root, const On& on) {
  TIMETRIAL_CHECK(root >= 0 && root < size_, "broadcast from rank {} of {}", root, size_);
  issue({.kind = Collective::broadcast, .out = x, .in = x, .root = root, .stream = on.stream, .purpose = on.purpose});
}

void Communicator::all_to_all(const AllToAll& exchange, const On& on) {
  const auto ranks = static_cast<size_t>(size_);
  TIMETRIAL_CHECK(exchange.out_counts.size() == ranks && exchange.in_counts.size() == ranks,
                  "all_to_all: {} and {} counts for {} ranks", exchange.out_counts.size(), exchange.in_counts.size(),
                  ranks);
  TIMETRIAL_CHECK(
      sum_of(exchange.out_counts) == exchange.out.elements() && sum_of(exchange.in_counts) == exchange.in.elements(),
      "all_to_all: counts of {} and {} elements for tensors of {} and {}", sum_of(exchange.out_counts),
      sum_of(exchange.in_counts), exchange.out.elements(), exchange.in.elements());
  issue({.kind = Collective::all_to_all,
         .out = exchange.out,
         .in = exchange.in,
         .out_counts = exchange.out_counts,
         .in_counts = exchange.in_counts,
         .stream = on.stream,
         .purpose = on.purpose});
}

void Communicator::barrier(const On& on) {
  issue({.kind = Collective::barrier, .out = {}, .in = {}, .stream = on.stream, .purpose = on.purpose});
}

std::unique_ptr<Communicator> Communicator::split(int colour, const std::string& name) {
  TIMETRIAL_CHECK(colour >= 0, "split of {} with colour {}", name_, colour);
  if (size_ == 1) return make_single(name);
  Call call{.kind = Collective::split, .out = {}, .in = {}, .root = colour, .purpose = name};
  enter(call);
  auto part = make_split(call, name);
  leave();
  return part;
}

void Communicator::wait(StreamRef) {}
void Communicator::wait_until(const std::function<bool()>&) {}

Position Communicator::position() const {
  const std::lock_guard lock(mutex_);
  return position_;
}

void Communicator::enter(Call& call) {
  call.sequence = calls_++;
  const std::lock_guard lock(mutex_);
  position_ = {.sequence = call.sequence,
               .kind = call.kind,
               .purpose = std::string(call.purpose),
               .inside = true,
               .group = name_};
}

void Communicator::leave() {
  const std::lock_guard lock(mutex_);
  position_.inside = false;
}

void Communicator::issue(Call call) {
  check_devices(call);
  if (call.out && call.in) check_element_type(name_of(call.kind), call.out, call.in);
  enter(call);
  if (size_ > 1) {
    run(call);
  } else if (call.out.raw() != call.in.raw()) {
    copy_bytes(call.out.raw(), call.out.device(), call.in.raw(), call.in.device(), call.in.bytes(), call.stream);
  }
  leave();
}

std::unique_ptr<Communicator> make_single(const std::string& name) {
  return std::make_unique<SingleCommunicator>(name);
}

}  // namespace timetrial::comm
