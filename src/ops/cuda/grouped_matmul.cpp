// Grouped products on CUDA: tensors to kernel arguments, and the choice between the chip's kernels and the plain ones.
// SPDX-License-Identifier: Apache-2.0
#include "ops/cuda/grouped_matmul.h"

#include "ops/cuda/arguments.h"
#include "ops/cuda/grouped_best.h"
#include "ops/cuda/grouped_choice.h"

namespace timetrial::ops::cuda {

namespace {

// Launches the chip's kernel that `pick` names and says so; false when the plain one has to run.
template <class Arguments, class Launch, class Pick>
bool launched_best(const Arguments& a, const Launch& launch, StreamRef stream, Pick pick) {
  if (!fits_chip_kernels(a)) return false;
  const auto kernels = chip_kernels(stream.device);
  if (!kernels) return false;
  TIMETRIAL_CHECK(reinterpret_cast<uintptr_t>(a.workspace.raw()) % kGroupedScratchAlignment == 0,
                  "grouped product: the workspace must begin at a multiple of {} bytes", kGroupedScratchAlignment);
  pick(*kernels)->launch(launch, {a.workspace.raw(), a.workspace.bytes(), multiprocessors(stream.device)}, stream);
  return true;
}

}  // namespace

void throw_cutlass_error(const char* what, const char* status) {
  throw Error(fmt::format("CUTLASS refused a grouped product in {}: {}", what, status));
}

size_t grouped_matmul_workspace_bytes(int64_t experts, DType dtype, Device device) {
  if (dtype != DType::bf16) return 0;
  const auto kernels = chip_kernels(device);
  return kernels ? grouped_scratch_bytes(*kernels, experts, multiprocessors(device)) : 0;
}

void grouped_matmul(const GroupedMatmul& a, StreamRef stream) {
  check_storage("grouped_matmul", {a.a.dtype()});
  const GroupedMatmulLaunch arguments = {.c = a.c.raw(),
                                         .a = a.a.raw(),
                                         .b = a.b.raw(),
                                         .bias = a.bias ? a.bias.raw() : nullptr,
                                         .bias_scale = floats_of(a.bias_scale),
                                         .expert_begin = a.expert_begin.data<int32_t>(),
                                         .rows = a.c.dim(0),
                                         .n = a.c.dim(1),
                                         .k = a.a.dim(1),
                                         .experts = a.expert_begin.dim(0) - 1,
                                         .transpose_b = a.transpose_b,
                                         .type = a.a.dtype()};
  const auto pick = [&](const GroupedKernelSet& set) {
    return a.transpose_b ? set.rows_by_weights_transposed : set.rows_by_weights;
  };
  if (!launched_best(a, arguments, stream, pick)) launch(arguments, stream);
}

void grouped_matmul_backward_weight(const GroupedMatmulBackwardWeight& a, StreamRef stream) {
  check_storage("grouped_matmul_backward_weight", {a.a.dtype(), a.d_weight.dtype()});
  const GroupedMatmulBackwardWeightLaunch arguments = {.d_weight = a.d_weight.raw(),
                                                       .d_c = a.d_c.raw(),
                                                       .a = a.a.raw(),
                                                       .expert_begin = a.expert_begin.data<int32_t>(),
                                                       .n = a.d_c.dim(1),
                                                       .k = a.a.dim(1),
                                                       .experts = a.expert_begin.dim(0) - 1,
                                                       .type = a.a.dtype(),
                                                       .weight_type = a.d_weight.dtype()};
  const auto pick = [](const GroupedKernelSet& set) { return set.weight_gradient; };
  if (!launched_best(a, arguments, stream, pick)) launch(arguments, stream);
}

void grouped_bias_backward(const GroupedBiasBackward& a, StreamRef stream) {
  check_storage("grouped_bias_backward", {a.d_c.dtype(), a.d_bias.dtype()});
  launch(GroupedBiasBackwardLaunch{.d_bias = a.d_bias.raw(),
                                   .d_c = a.d_c.raw(),
                                   .bias_scale = floats_of(a.bias_scale),
                                   .expert_begin = a.expert_begin.data<int32_t>(),
                                   .n = a.d_c.dim(1),
                                   .experts = a.expert_begin.dim(0) - 1,
                                   .type = a.d_c.dtype(),
                                   .bias_type = a.d_bias.dtype()},
         stream);
}

void grouped_bias_scale_backward(const GroupedBiasScaleBackward& a, StreamRef stream) {
  check_storage("grouped_bias_scale_backward", {a.d_c.dtype()});
  launch(GroupedBiasScaleBackwardLaunch{.d_scale = a.d_scale.data<float>(),
                                        .d_c = a.d_c.raw(),
                                        .bias = a.bias.raw(),
                                        .expert_begin = a.expert_begin.data<int32_t>(),
                                        .rows = a.d_c.dim(0),
                                        .n = a.d_c.dim(1),
                                        .experts = a.expert_begin.dim(0) - 1,
                                        .type = a.d_c.dtype()},
         stream);
}

}  // namespace timetrial::ops::cuda
