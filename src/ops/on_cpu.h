// How an op front runs its CPU implementation: told to the stream's observer, bf16 storage widened to fp32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "ops/cpu/bf16.h"
#include "ops/dispatch.h"
#include "timetrial/device/op_observer.h"

namespace timetrial::ops {

// Which tensors of an op's arguments it reads, writes, and both; each front says so once, in `roles(const Arguments&)`.
template <class A>
struct Roles {
  using Members = std::array<Tensor A::*, 8>;  // null pointers behind the last
  Members reads = {}, writes = {}, updates = {};
};

// Floating-point operations of an op's products; ops that have one overload it.
template <class A>
double flops(const A&) {
  return 0;
}

namespace detail {

template <class A, class F>
void for_each(const typename Roles<A>::Members& members, const F& f) {
  for (Tensor A::*member : members)
    if (member) f(member);
}

// The arguments with an fp32 copy in place of every bf16 tensor; `round` stores the results as bf16.
template <class A>
class Widened {
 public:
  Widened(const A& a, const Roles<A>& roles) : arguments_(a) {
    for_each<A>(roles.reads, [&](Tensor A::*member) { widen(member, true, false); });
    for_each<A>(roles.writes, [&](Tensor A::*member) { widen(member, false, true); });
    for_each<A>(roles.updates, [&](Tensor A::*member) { widen(member, true, true); });
  }
  const A& arguments() const { return arguments_; }
  void round() const {
    for (const auto& [narrow, copy] : results_)
      if (narrow) cpu::narrow(narrow, *copy);
  }

 private:
  void widen(Tensor A::*member, bool read, bool written) {
    const Tensor narrow = arguments_.*member;
    if (!narrow || narrow.dtype() != DType::bf16) return;
    OwnedTensor& copy = copies_.at(used_).emplace(DType::f32, narrow.shape());
    if (read) cpu::widen(copy, narrow);
    if (written) results_[used_] = {narrow, &copy};
    arguments_.*member = copy;
    ++used_;
  }

  A arguments_;
  std::array<std::optional<OwnedTensor>, 24> copies_;
  std::array<std::pair<Tensor, const OwnedTensor*>, 24> results_ = {};
  size_t used_ = 0;
};

template <class A>
bool has_bf16(const A& a, const Roles<A>& roles) {
  bool found = false;
  const auto look = [&](Tensor A::*member) { found = found || (a.*member && (a.*member).dtype() == DType::bf16); };
  for (const auto* members : {&roles.reads, &roles.writes, &roles.updates}) for_each<A>(*members, look);
  return found;
}

}  // namespace detail

// Every tensor moved once, those that are updated twice; ops that touch only a part overload it.
template <class A>
double bytes_moved(const A& a) {
  const Roles<A> roles_of_a = roles(a);
  double bytes = 0;
  const auto count = [&](double times) {
    return [&, times](Tensor A::*member) { bytes += a.*member ? times * static_cast<double>((a.*member).bytes()) : 0; };
  };
  detail::for_each<A>(roles_of_a.reads, count(1));
  detail::for_each<A>(roles_of_a.writes, count(1));
  detail::for_each<A>(roles_of_a.updates, count(2));
  return bytes;
}

struct CpuCall {
  std::string_view op;
  StreamRef stream;
  DType dtype;  // of the arithmetic; bf16 computes in fp32
};

// Calls f.operator()<float or double>(arguments). bf16 tensors are read into fp32 copies and results rounded to nearest
// even: storage in bf16, arithmetic in fp32. That allocates; fp32 and f64 do not.
template <class A, class F>
void on_cpu(const CpuCall& call, const A& a, const F& f) {
  OpObserver* observer = call.stream.observer;
  const OpCall seen = observer ? OpCall{call.op, flops(a), bytes_moved(a)} : OpCall{call.op, 0, 0};
  if (observer) observer->before(seen);
  if (detail::has_bf16(a, roles(a))) {
    const detail::Widened<A> wide(a, roles(a));
    f.template operator()<float>(wide.arguments());
    wide.round();
  } else {
    visit_float(call.dtype, [&]<class T>() { f.template operator()<T>(a); });
  }
  if (observer) observer->after(seen);
}

}  // namespace timetrial::ops
