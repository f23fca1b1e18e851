// The order of work inside one training step, as data: built and checked here, executed by the trainer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

namespace timetrial {

// backward runs, layer by layer, the input gradient and then the weight gradients.
enum class Act { forward, backward, update };

struct Action {
  Act act;
  int micro = 0;  // micro batch within the step
  int slot = 0;   // stash slot that holds its activations
  bool operator==(const Action&) const = default;
};

// Gradient accumulation, the only kind with one pipeline stage: forward and backward per micro batch, then one update.
std::vector<Action> make_accumulate_schedule(int micro_batches);

// Stash slots the schedule needs at once; the memory plan counts them.
int slots_in_flight(std::span<const Action> schedule);

// Throws Error unless every micro batch runs forward once and then backward once, no slot is reused before its
// backward, and the one update comes last.
void check_schedule(std::span<const Action> schedule, int micro_batches);

}  // namespace timetrial
