// Scheduling of a block's threads, and the rules of their meetings (CUDA programming guide: synchronization functions,
// warp vote and warp shuffle functions). SPDX-License-Identifier: Apache-2.0
#include "emulation/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace timetrial::emulation {

Uint3 threadIdx{}, blockIdx{}, blockDim{}, gridDim{};

namespace {

constexpr size_t kWarp = 32;
constexpr int kGarbage = 0xFF;  // NaN in every floating type, -1 in integers, no value of bool
constexpr uint32_t kGarbageWord = 0xFFFFFFFFU;

Uint3 plain(dim3 size) { return {size.x, size.y, size.z}; }
std::string text(Uint3 at) { return fmt::format("({}, {}, {})", at.x, at.y, at.z); }
std::string text(const Meeting& meeting) {
  return fmt::format("{} ({}:{})", meeting.name, meeting.where.file_name(), meeting.where.line());
}
bool same(const Meeting& a, const Meeting& b) {
  const auto equal = [](const char* x, const char* y) { return x == y || std::strcmp(x, y) == 0; };
  return a.where.line() == b.where.line() && equal(a.where.file_name(), b.where.file_name()) && equal(a.name, b.name);
}

}  // namespace

Uint3 BlockRunner::place_of(size_t thread) const {
  const dim3& size = grid_->shape.block;
  const auto i = static_cast<unsigned>(thread);
  return {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
}

std::string BlockRunner::text_of(size_t thread) const {
  const Thread& t = threads_[thread];
  const std::string who = "thread " + text(place_of(thread));
  switch (t.state) {
    case State::running:
      return who + " runs";
    case State::at_barrier:
      return who + " waits at " + text(t.meeting);
    case State::in_warp:
      return fmt::format("{} waits at {} with mask {:#x}", who, text(t.meeting), t.gift.mask);
    case State::ended:
      return who + " has ended";
  }
  return who;
}

std::string BlockRunner::text_of_block() const { return fmt::format("{}, block {}", kernel_, text(index_)); }

void BlockRunner::fail(const std::string& what) const { throw KernelError(text_of_block() + ": " + what); }

// From inside a fiber nothing is thrown; the scheduler does it.
void BlockRunner::fail_later(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

void BlockRunner::run(const Grid& grid, Uint3 index) {
  grid_ = &grid;
  index_ = index;
  blockIdx = index;
  blockDim = plain(grid.shape.block);
  gridDim = plain(grid.shape.grid);
  clear_shared();
  start_threads(size_t{grid.shape.block.x} * grid.shape.block.y * grid.shape.block.z);
  for (;;) {
    while (run_threads() || release_warps()) {
    }
    if (!release_barrier()) return;
  }
}

void BlockRunner::start_threads(size_t count) {
  count_ = count;
  if (threads_.size() < count) threads_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    threads_[i].state = State::running;
    threads_[i].fiber = nullptr;
  }
}

Fiber* BlockRunner::idle_fiber() {
  if (idle_.empty()) return new Fiber([this] { serve(); });
  Fiber* const taken = idle_.back();
  idle_.pop_back();
  return taken;
}

// On a fiber: runs the current thread to its end, and then those that have not begun. So threads that meet nobody share
// one fiber and cost no switch.
void BlockRunner::serve() {
  for (;;) {
    (*grid_->thread)();
    threads_[current_].state = State::ended;
    threads_[current_].fiber = nullptr;
    if (!failure_.empty()) return;
    if (!choose_thread()) return;
    is_chosen_ = threads_[current_].fiber != nullptr;  // has a fiber of its own to go on
    if (is_chosen_) return;
  }
}

// Makes the next thread of this pass that can run the current one; false at the end of the pass.
bool BlockRunner::choose_thread() {
  while (visited_ < count_) {
    current_ = next_;
    next_ += step_;
    if (next_ >= count_) next_ -= count_;
    ++visited_;
    if (threads_[current_].state != State::running) continue;
    threadIdx = place_of(current_);
    return true;
  }
  return false;
}

// Runs every thread that can, each until it meets or ends; false when none could.
bool BlockRunner::run_threads() {
  // Steps of this length visit all threads, since it and their number have no common divisor.
  ++turn_;
  size_t step = turn_ % 2 == 0 ? 1 : count_ - 1;
  if (turn_ % 4 == 3) step = static_cast<size_t>(turn_ * 7919) % count_ + 1;
  while (std::gcd(step, count_) != 1) ++step;
  step_ = step % count_;
  next_ = turn_ * 31 % count_;
  visited_ = 0;
  is_chosen_ = false;
  bool any = false;
  while (is_chosen_ || choose_thread()) {
    is_chosen_ = false;
    any = true;
    running_ = threads_[current_].fiber ? threads_[current_].fiber : idle_fiber();
    if (running_->resume())
      idle_.push_back(running_);
    else
      threads_[current_].fiber = running_;  // perhaps another thread than before: the one that meets now
    if (!failure_.empty()) fail(failure_);
  }
  return any;
}

bool BlockRunner::release_warps() {
  bool any = false;
  for (size_t first = 0; first < count_; first += kWarp)
    any = release_warp(first, std::min(first + kWarp, count_)) || any;
  return any;
}

// Lanes [first, end) are a warp. Lets those go on whose mates have all come.
bool BlockRunner::release_warp(size_t first, size_t end) {
  bool any = false;
  for (size_t i = first; i < end; ++i) {
    const Thread& thread = threads_[i];
    if (thread.state != State::in_warp) continue;
    unsigned present = 0;
    bool complete = true;
    for (size_t j = first; j < end; ++j) {
      const Thread& other = threads_[j];
      if (!(thread.gift.mask >> (j - first) & 1) || other.state == State::ended) continue;
      present |= 1U << (j - first);
      if (other.state != State::in_warp) {
        complete = false;
      } else if (other.gift.mask != thread.gift.mask || !same(other.meeting, thread.meeting)) {
        fail(text_of(i) + ", but " + text_of(j));
      }
    }
    if (!complete) continue;
    uint32_t ballot = 0;
    for (size_t j = first; j < end; ++j)
      if ((present >> (j - first) & 1) && threads_[j].gift.value) ballot |= 1U << (j - first);
    for (size_t j = first; j < end; ++j) {
      Thread& mate = threads_[j];
      if (!(present >> (j - first) & 1)) continue;
      const size_t source = (j - first) ^ mate.gift.lane_mask;
      if (mate.gift.votes)
        mate.result = ballot;
      else
        mate.result = source < kWarp && (present >> source & 1) ? threads_[first + source].gift.value : kGarbageWord;
    }
    for (size_t j = first; j < end; ++j)
      if (present >> (j - first) & 1) threads_[j].state = State::running;
    any = true;
  }
  return any;
}

// No thread can run and no warp is complete: all wait at one barrier, or all have ended (false), or it is an error.
bool BlockRunner::release_barrier() {
  const auto begin = threads_.begin(), end = begin + static_cast<std::ptrdiff_t>(count_);
  const auto waits = std::find_if(begin, end, [](const Thread& t) { return t.state != State::ended; });
  if (waits == end) return false;
  const auto differs = [&](const Thread& t) { return t.state != waits->state || !same(t.meeting, waits->meeting); };
  const auto other = std::find_if(begin, end, differs);
  if (waits->state != State::at_barrier || other != end)
    fail(text_of(static_cast<size_t>(waits - begin)) +
         (other == end ? "" : ", but " + text_of(static_cast<size_t>(other - begin))));
  const auto sum = static_cast<uint32_t>(std::count_if(begin, end, [](const Thread& t) { return t.predicate; }));
  for (auto t = begin; t != end; ++t) {
    t->result = sum;
    t->state = State::running;
  }
  return true;
}

uint32_t BlockRunner::meet(State state, const Meeting& meeting) {
  Thread& thread = threads_[current_];
  thread.state = state;
  thread.meeting = meeting;
  running_->yield();
  return thread.result;
}

int BlockRunner::barrier(const Meeting& meeting, int predicate) {
  threads_[current_].predicate = predicate != 0;
  return static_cast<int>(meet(State::at_barrier, meeting));
}

uint32_t BlockRunner::warp_operation(const Meeting& meeting, const WarpGift& gift) {
  Thread& thread = threads_[current_];
  thread.gift = gift;
  if (!(gift.mask >> (current_ % kWarp) & 1)) fail_later(text_of(current_) + " has a mask that does not name it");
  return meet(State::in_warp, meeting);
}

void BlockRunner::clear_shared() {
  for (SharedPlace& shared : static_shared_) shared.of_this_block = false;
  dynamic_shared_.of_this_block = false;
}

// Exactly as long as asked for, so that the address sanitizer sees its ends.
std::byte* BlockRunner::fresh(SharedPlace& shared) {
  shared.of_this_block = true;
  size_t total = dynamic_shared_.of_this_block ? dynamic_shared_.bytes : grid_->shape.dynamic_shared;
  for (const SharedPlace& other : static_shared_)
    if (other.of_this_block) total += other.bytes;
  if (total > grid_->most_shared)
    fail_later(fmt::format("{} bytes of shared memory, it may have {}", total, grid_->most_shared));
  std::memset(shared.memory.get(), kGarbage, shared.bytes);
  return shared.memory.get();
}

void* BlockRunner::static_memory(const void* place, size_t bytes) {
  for (SharedPlace& shared : static_shared_)
    if (shared.place == place) return shared.of_this_block ? shared.memory.get() : fresh(shared);
  static_shared_.push_back({place, bytes, std::make_unique<std::byte[]>(bytes), false});
  return fresh(static_shared_.back());
}

void* BlockRunner::dynamic_memory() {
  if (dynamic_shared_.of_this_block) return dynamic_shared_.memory.get();
  if (dynamic_shared_.bytes != grid_->shape.dynamic_shared || !dynamic_shared_.memory) {
    dynamic_shared_.bytes = grid_->shape.dynamic_shared;
    dynamic_shared_.memory = std::make_unique<std::byte[]>(dynamic_shared_.bytes);
  }
  return fresh(dynamic_shared_);
}

}  // namespace timetrial::emulation
