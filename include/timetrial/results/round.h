// import_round: a checkout of an MLCommons training results repository as one table.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "timetrial/base/json.h"

namespace timetrial::results {

struct ImportOptions {
  std::string ruleset;   // empty: from the folder's name, "training_results_v5.1" is 5.1.0
  std::string reviewed;  // where these results were published after MLCommons' review; empty: every score is unverified
  std::string date;      // of publication, 2026-06-16; empty: that of the round, where known
  int threads = 0;       // folders side by side; 0: one per core
};

// What could not be read, or does not fit; everything else of the round is kept.
struct ImportProblem {
  std::string path, what;
};

struct ImportedRound {
  std::string round, ruleset, date;  // "v5.1", "5.1.0", "2025-11-12"
  int64_t folders = 0, logs = 0, bytes = 0;
  Json records = Json::array();  // one object per benchmark folder, in the order of their paths
  std::vector<ImportProblem> problems;
  std::string source;

  // Schema "timetrial.results/1", as load_records reads it.
  Json to_json() const;
};

// Reads <organisation>/systems/<system>.json and <organisation>/results/<system>/<benchmark>/result_*.txt below
// `folder` (rules digest 5.1); `folder` may be an organisation's own. Each benchmark folder is scored as score_folder
// does; the factor of a scaling.json that lies there goes before the one computed here. A missing or odd system file, a
// folder without logs, an unreadable file, an unknown benchmark or a link that leads in a circle becomes a problem.
// Nothing is written. Throws DataError when `folder` holds no organisation, and UserError when the ruleset is not
// known.
ImportedRound import_round(const std::string& folder, const ImportOptions& options = {});

}  // namespace timetrial::results
