// The normalisation tables inside a SentencePiece model. The library walks them without a bounds check, so a damaged
// file would make it read outside its memory; they are checked before it sees them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace timetrial {

// False when `model` (a serialised ModelProto) holds a normalisation table, `precompiled_charsmap` of normalizer_spec
// or denormalizer_spec, that leads outside itself for some text, or when the model's fields cannot be told apart.
bool charsmaps_are_sound(std::string_view model);

}  // namespace timetrial
