// Recompute: how much of a layer's forward pass backward computes again instead of finding it in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial {

// off: everything is kept. selective: what costs no matrix product is computed again (norms, gated activations, the
// rows of experts). full: everything but a layer's input and its routing. Results are bit-equal.
enum class Recompute { off, selective, full };

}  // namespace timetrial
