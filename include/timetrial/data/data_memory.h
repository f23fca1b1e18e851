// How much host memory a rank's data takes: indices, orders of samples, blends. Batches are staging, planned elsewhere.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "timetrial/data/indexed_data_provider.h"

namespace timetrial {

// Bytes that an IndexedDataProvider of this spec will hold, its sources' permutations with it, from the heads of the
// token files alone: nothing is allocated to find out. Throws DataError where a file is not there, UserError as
// SampleOrder does. Thread-safe.
size_t planned_data_bytes(const IndexedDataSpec& spec);

}  // namespace timetrial
