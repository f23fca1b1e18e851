// Plan: what the modules of one model piece will keep, defer and use as scratch, declared before any memory exists. The
// memory plan is this and nothing else: the stash, the arenas and the printed table are all made from it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "timetrial/config/recompute.h"
#include "timetrial/tensor/tensor.h"

namespace timetrial {

// Name of one tensor that crosses from forward to backward, or from backward_input to backward_weights.
struct SavedId {
  int32_t index = -1;
};

enum class Mode {
  train,     // forward keeps what backward needs
  replay,    // forward again, in backward: makes what was not kept, leaves alone what was
  evaluate,  // nothing is kept; what would be is scratch
};

// What it takes to make a kept tensor again.
enum class Keep {
  always,   // never made again: routing results, which must not change under backward, and small statistics
  product,  // a matrix product or attention
  cheap,    // one pass over kept tensors: norms, activations, permuted rows
};

constexpr bool is_kept(Recompute recompute, Keep keep) {
  switch (recompute) {
    case Recompute::off:
      return true;
    case Recompute::selective:
      return keep != Keep::cheap;
    case Recompute::full:
      return keep == Keep::always;
  }
  return true;
}

struct PlannedTensor {
  size_t offset = 0;
  DType dtype = DType::f32;
  Shape shape;
  bool planned = false;
};

// Declarations mirror execution one to one: what forward keeps, plan_forward declares in the same order and scopes.
class Plan {
 public:
  explicit Plan(Mode mode, Recompute recompute = Recompute::off) : mode_(mode), recompute_(recompute) {}
  Mode mode() const { return mode_; }
  Recompute recompute() const { return recompute_; }

  // From forward to backward_weights; scratch when evaluating. What is not kept is scratch in forward, and deferred
  // memory when it is made again.
  void keep(SavedId id, DType dtype, Shape shape, Keep keep = Keep::always);
  // False while replaying over tensors of this kind that were kept.
  bool makes(Keep keep) const { return mode_ != Mode::replay || !is_kept(recompute_, keep); }
  void defer(SavedId id, DType dtype, Shape shape);  // from backward_input to backward_weights
  void temporary(DType dtype, Shape shape);          // until the innermost Scope ends
  void temporary_bytes(size_t bytes);
  // What one library call uses between its start and end; calls on a stream follow each other, so all share the
  // largest.
  void workspace(size_t bytes);
  void weights_done();  // backward_weights has run: deferred memory starts again

  size_t kept_bytes() const { return kept_bytes_; }
  size_t deferred_bytes() const { return deferred_peak_; }
  size_t scratch_bytes() const { return scratch_peak_; }
  size_t workspace_bytes() const { return workspace_bytes_; }
  const std::vector<PlannedTensor>& kept() const { return kept_; }
  const std::vector<PlannedTensor>& deferred() const { return deferred_; }

  class Scope {
   public:
    explicit Scope(Plan& plan) : plan_(plan), mark_(plan.scratch_used_) {}
    ~Scope() { plan_.scratch_used_ = mark_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Plan& plan_;
    size_t mark_;
  };

  // Declarations inside are those of a second forward pass, in backward.
  class Replay {
   public:
    explicit Replay(Plan& plan) : plan_(plan), before_(plan.mode_) { plan.mode_ = Mode::replay; }
    ~Replay() { plan_.mode_ = before_; }
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

   private:
    Plan& plan_;
    Mode before_;
  };

 private:
  Mode mode_;
  Recompute recompute_;
  std::vector<PlannedTensor> kept_, deferred_;
  size_t kept_bytes_ = 0, deferred_used_ = 0, deferred_peak_ = 0, scratch_used_ = 0, scratch_peak_ = 0,
         workspace_bytes_ = 0;
};

}  // namespace timetrial
