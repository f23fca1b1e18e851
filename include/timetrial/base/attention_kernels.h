// AttentionKernels: who computes attention on a GPU. Known to the config and to the op, so it lives below both.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial {

// best: cuDNN's fused attention where it can, else this project's kernels. The CPU has one way and does not ask.
enum class AttentionKernels { best, own, cudnn };

}  // namespace timetrial
