// Weights between a checkpoint folder and the engine's parameters, one part of a tensor at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "timetrial/checkpoint/mapping.h"
#include "timetrial/parallel/parameters.h"

namespace timetrial {

// Throws Error unless the format names the store's parameters, each with all its elements: a mapping that is a bug.
void check_format(const checkpoint::Format& format, const ParameterList& list);

// Throws UserError with the first problem and their number when the folder does not fit the format; otherwise every
// weight is the checkpoint's, rounded to the store's type, and the moments are 0. Memory: one part of a tensor.
void load_weights(ParameterStore& store, const checkpoint::Format& format, const std::string& folder, StreamRef stream);

// Writes the weights, as the model holds them, into a folder that transformers can load.
void save_weights(const ParameterStore& store, const checkpoint::Format& format, const checkpoint::WriteSpec& spec,
                  StreamRef stream);

}  // namespace timetrial
