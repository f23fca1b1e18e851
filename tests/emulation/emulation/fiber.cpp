// Boost.Context's fibers, kept after their work's end because making one costs more than a kernel's thread often does.
// SPDX-License-Identifier: Apache-2.0
#include "emulation/fiber.h"

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace timetrial::emulation {

namespace {

constexpr size_t kStackBytes = size_t{128} << 10;

// One side's view of a switch, for the sanitizers.
class Side {
 public:
#if defined(__SANITIZE_ADDRESS__)
  void describe(const void* bottom, size_t bytes) {
    bottom_ = bottom;
    bytes_ = bytes;
  }
  // Before this side switches to `to`.
  void leave(const Side& to) { __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.bytes_); }
  // After the switch back, or the first one; `from` learns where its stack is.
  void arrive(Side& from) { __sanitizer_finish_switch_fiber(fake_stack_, &from.bottom_, &from.bytes_); }

 private:
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
#else
  void describe(const void*, size_t) {}
  void leave(const Side&) {}
  void arrive(Side&) {}
#endif
};

// A stack with a guard page whose place the sanitizers are told.
struct DescribedStack {
  Side* side;
  boost::context::protected_fixedsize_stack stack{kStackBytes};
  boost::context::stack_context allocate() {
    const boost::context::stack_context made = stack.allocate();
    side->describe(static_cast<std::byte*>(made.sp) - made.size, made.size);
    return made;
  }
  void deallocate(boost::context::stack_context& context) { stack.deallocate(context); }
};

}  // namespace

struct Fiber::Parts {
  std::function<void()> work;
  Side inside, outside;
  boost::context::fiber inner, outer;  // each is whole while the other one runs
  bool ended = false;

  explicit Parts(std::function<void()> given) : work(std::move(given)) {
    inner = boost::context::fiber(std::allocator_arg, DescribedStack{&inside}, [this](boost::context::fiber&& from) {
      inside.arrive(outside);
      outer = std::move(from);
      for (;;) {
        work();
        ended = true;
        yield();
      }
      return std::move(outer);
    });
  }
  void yield() {
    inside.leave(outside);
    outer = std::move(outer).resume();
    inside.arrive(outside);
  }
};

Fiber::Fiber(std::function<void()> work) : parts_(new Parts(std::move(work))) {}

bool Fiber::resume() {
  Parts& p = *parts_;
  p.ended = false;
  p.outside.leave(p.inside);
  p.inner = std::move(p.inner).resume();
  p.outside.arrive(p.inside);
  return p.ended;
}

void Fiber::yield() { parts_->yield(); }

}  // namespace timetrial::emulation
