// Rotary: the cos and sin table of a model, made from its rotary settings once at start-up and shared by its layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/config/model_shape.h"
#include "timetrial/nn/attention.h"

namespace timetrial::nn {

class Rotary {
 public:
  // Positions 0 to shape.sequence_length - 1, half-rotation of head_dim channels; in double for f64 models, else fp32.
  Rotary(const ModelShape& shape, DType dtype, Device device);
  Rotary(const Rotary&) = delete;  // attention blocks refer to table()
  Rotary& operator=(const Rotary&) = delete;

  const RotaryTable& table() const { return table_; }

 private:
  OwnedTensor cos_, sin_;
  RotaryTable table_;
};

}  // namespace timetrial::nn
