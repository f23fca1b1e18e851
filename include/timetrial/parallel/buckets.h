// Sizes of the buckets that a ParameterStore would make, for plans: nothing is allocated to find out.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "timetrial/parallel/parameters.h"

namespace timetrial {

struct BucketSize {
  ReduceGroup reduce;
  int64_t elements;  // padding among them
};
std::vector<BucketSize> bucket_sizes(const ParameterList& list, OptimizerShard shard);

}  // namespace timetrial
