// Block: the threads of one block of a launch as fibers, run in turn between their meetings.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "emulation/fiber.h"
#include "emulation/lane.h"

namespace timetrial::emulation {

// What a GPU would leave undefined or hang on; the text names kernel, block, thread and place.
struct KernelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Grid {
  LaunchShape shape;
  size_t most_shared;  // bytes that a block of this kernel may have
  const std::function<void()>* thread;
};

// Runs blocks one after another, each to its end. Threads run until they meet; the order in which they do is another
// one each time, so what only works in one order shows.
class BlockRunner {
 public:
  // Around the blocks of a grid.
  // Throws KernelError; the runner is then of no more use.
  void run(const Grid& grid, Uint3 index);

  // What lane.h promises to the thread that runs now.
  void enter_kernel(const char* name) { kernel_ = name; }
  int barrier(const Meeting& meeting, int predicate);
  uint32_t warp_operation(const Meeting& meeting, const WarpGift& gift);
  void* static_memory(const void* place, size_t bytes);
  void* dynamic_memory();

 private:
  enum class State { running, at_barrier, in_warp, ended };
  struct Thread {
    Fiber* fiber;  // once it has met others, until it ends
    State state;
    Meeting meeting;
    WarpGift gift;
    bool predicate;
    uint32_t result;  // of the meeting
  };
  struct SharedPlace {
    const void* place;
    size_t bytes;
    std::unique_ptr<std::byte[]> memory;
    bool of_this_block;
  };

  void start_threads(size_t count);
  bool run_threads();
  bool choose_thread();
  void serve();
  Fiber* idle_fiber();
  bool release_warps();
  bool release_warp(size_t first, size_t end);
  bool release_barrier();
  void clear_shared();
  std::byte* fresh(SharedPlace& shared);
  uint32_t meet(State state, const Meeting& meeting);
  Uint3 place_of(size_t thread) const;
  std::string text_of(size_t thread) const;
  std::string text_of_block() const;
  [[noreturn]] void fail(const std::string& what) const;
  void fail_later(const std::string& what);

  const Grid* grid_ = nullptr;
  Uint3 index_{};
  const char* kernel_ = "a kernel";
  std::deque<Thread> threads_;  // of the largest block so far; the first count_ are this one's
  size_t count_ = 0, current_ = 0;
  uint64_t turn_ = 0;
  // The pass over the threads that is under way.
  size_t step_ = 1, next_ = 0, visited_ = 0;
  bool is_chosen_ = false;
  Fiber* running_ = nullptr;
  std::vector<Fiber*> idle_;
  std::string failure_;
  // Addresses that stand for an order between threads, for the thread sanitizer.
  std::vector<SharedPlace> static_shared_;
  SharedPlace dynamic_shared_{};
};

}  // namespace timetrial::emulation
