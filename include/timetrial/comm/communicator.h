// Communicator: collectives between the ranks of one group, the same for threads, MPI and NCCL.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "timetrial/tensor/tensor.h"

namespace timetrial::comm {

enum class Collective { all_reduce, reduce_scatter, all_gather, broadcast, all_to_all, barrier, split };
std::string_view name_of(Collective kind);  // "all_reduce", ...

enum class Reduction { sum, max };

// Seconds a rank waits for the others before it gives up.
struct Deadlines {
  double init = 600;  // making a group of ranks
  double call = 30;   // one collective; Communicator::set_deadline changes it later
};

// Where a collective is queued and what it is for ("gradient norm"), for errors and watchers. The text is a literal or
// outlives the call.
struct On {
  StreamRef stream;
  std::string_view purpose;
};

// One call as an implementation gets it: checked, with its number.
struct Call {
  Collective kind;
  Tensor out, in;
  Reduction reduction = Reduction::sum;
  int root = 0;                                              // broadcast; of a split the colour
  std::span<const int64_t> out_counts = {}, in_counts = {};  // all_to_all: elements from and to each rank
  StreamRef stream = {};
  std::string_view purpose = {};
  int64_t sequence = 0;  // of this communicator, from 0
};

// The last call a rank made, for whoever watches it.
struct Position {
  int64_t sequence = -1;  // -1: none yet
  Collective kind = Collective::barrier;
  std::string purpose;
  bool inside = false;  // the call has not returned
  std::string group;    // the communicator's name
};

// `rank`, in `all_reduce "gradient norm" (call 17)`.
std::string text_of(const Call& call);
// "rank 2", "ranks 0, 1 and 3", "16 ranks, the first 0"
std::string ranks_text(const std::vector<int>& ranks);

// A collective failed: a rank did not come in time, came with another call, or ended. One line names it.
class CommError : public Error {
 public:
  explicit CommError(const std::string& message, std::source_location location = std::source_location::current())
      : Error(message, location) {}
};

// The deadline of a call passed, which tells no more than that somebody did not come.
class LateError : public CommError {
 public:
  using CommError::CommError;
};

// Every rank of the group makes the same calls in the same order, from one thread at a time. A call is queued on its
// stream, which the memory must outlive; on the CPU it is done when it returns. Element types: bf16, f32, f64, i32,
// i64. Sums run over ranks in a fixed order (threads), or in the order of the library, and every rank gets the same
// bits. bf16 is summed in fp32 by threads and rounded once. A call that cannot be made throws CommError within the
// deadline; the communicator is of no use afterwards.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  const std::string& name() const { return name_; }  // "world", "data"
  int rank() const { return rank_; }
  int size() const { return size_; }

  // x (any shape) = sum or maximum over the ranks, in place.
  void all_reduce(const Tensor& x, const On& on, Reduction reduction = Reduction::sum);
  // in: size pieces of out's elements; out = sum over the ranks of their piece number rank(). out may be that piece.
  void reduce_scatter(const Tensor& out, const Tensor& in, const On& on);
  // out: size pieces of in's elements, one from each rank. in may be piece number rank() of out.
  void all_gather(const Tensor& out, const Tensor& in, const On& on);
  void broadcast(const Tensor& x, int root, const On& on);  // x = the root's x
  struct AllToAll {
    Tensor out, in;                                  // pieces one after another, in rank order; they do not overlap
    std::span<const int64_t> out_counts, in_counts;  // elements from and to each rank; 0 is allowed
  };
  void all_to_all(const AllToAll& exchange, const On& on);
  void barrier(const On& on);
  // Collective: the ranks of one colour (not negative) become a group of their own, in the order of their ranks here.
  std::unique_ptr<Communicator> split(int colour, const std::string& name);

  // Returns when everything queued on the stream is done; throws CommError when that does not happen within the
  // deadline. On the CPU there is nothing to wait for.
  virtual void wait(StreamRef stream);
  // The same for a part of the work: until `done` says so. `done` must not wait.
  virtual void wait_until(const std::function<bool()>& done);
  // Ends the group: calls of this rank, and of the others where the implementation reaches them, throw `why`.
  // Thread-safe.
  virtual void abort(const std::string& why) noexcept = 0;

  void set_deadline(double seconds) { deadline_ = seconds; }  // of the calls that follow; thread-safe
  double deadline() const { return deadline_; }
  Position position() const;  // thread-safe

 protected:
  Communicator(std::string name, int rank, int size, double deadline)
      : name_(std::move(name)), rank_(rank), size_(size), deadline_(deadline) {}
  // Only called in groups of more than one.
  virtual void run(const Call& call) = 0;
  virtual std::unique_ptr<Communicator> make_split(const Call& call, const std::string& name) = 0;

 private:
  void issue(Call call);
  void enter(Call& call);
  void leave();

  std::string name_;
  int rank_, size_;
  std::atomic<double> deadline_;
  int64_t calls_ = 0;
  mutable std::mutex mutex_;
  Position position_;
};

// A group of one: copies where there is something to copy.
std::unique_ptr<Communicator> make_single(const std::string& name);

}  // namespace timetrial::comm
