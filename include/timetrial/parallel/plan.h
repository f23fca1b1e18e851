// Plan: what the modules of one model piece will keep, defer and use as scratch, declared before any memory exists. The
// memory plan is this and nothing else: the stash, the arenas and the printed table are all made from it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "timetrial/tensor/tensor.h"

namespace timetrial {

// Name of one tensor that crosses from forward to backward, or from backward_input to backward_weights.
struct SavedId {
  int32_t index = -1;
};

enum class Mode {
  train,     // forward keeps what backward needs
  evaluate,  // nothing is kept; what would be is scratch
};

struct PlannedTensor {
  size_t offset = 0;
  DType dtype = DType::f32;
  Shape shape;
  bool planned = false;
};

// Declarations mirror execution one to one: what forward keeps, plan_forward declares in the same order and scopes.
class Plan {
 public:
  explicit Plan(Mode mode) : mode_(mode) {}
  Mode mode() const { return mode_; }

  void keep(SavedId id, DType dtype, Shape shape);   // from forward to backward_weights; scratch when evaluating
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

 private:
  Mode mode_;
  std::vector<PlannedTensor> kept_, deferred_;
  size_t kept_bytes_ = 0, deferred_used_ = 0, deferred_peak_ = 0, scratch_used_ = 0, scratch_peak_ = 0,
         workspace_bytes_ = 0;
};

}  // namespace timetrial
