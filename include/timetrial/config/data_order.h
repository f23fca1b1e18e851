// In which order a run takes its samples: the choices that a config file has (spec 10.4, 18.5).
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace timetrial {

enum class SamplerKind {
  single,  // consecutive items
  cyclic,  // each rank owns a range of items and permutes it anew every pass, by pass number, not by the run's seed
};

enum class EvaluationOrder {
  file,    // the first samples of the file, the same at every evaluation
  seed,    // the first samples of the order that the run's seed gives, the same at every evaluation
  cyclic,  // that order permuted anew every pass, going on from evaluation to evaluation: others each time
};

}  // namespace timetrial
