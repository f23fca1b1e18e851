// What must stand beside a score, by the MLPerf results messaging guidelines (mlcommons/policies, 2026-04-28).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace timetrial::results {

// The word beside each score that MLCommons did not review, and the sentence its footnote must hold.
inline constexpr std::string_view kUnverified = "unverified";
inline constexpr std::string_view kNotVerified = "Result not verified by MLCommons Association.";
// Beside a comparison of an unverified with a verified result.
inline constexpr std::string_view kUnverifiedComparison =
    "Unverified results have not been through an MLPerf review and may use measurement methodologies and/or workload "
    "implementations that are inconsistent with the MLPerf specification for verified results.";
inline constexpr std::string_view kTrademark =
    "The MLPerf name and logo are registered and unregistered trademarks of MLCommons Association in the United States "
    "and other countries. All rights reserved. Unauthorized use strictly prohibited. See www.mlcommons.org for more "
    "information.";
// Beside every time of a small variant, in place of all of the above: mllog::no_result and why that matters.
std::string small_variant_words(std::string_view variant);

// "v6.0" for ruleset "6.0.0".
std::string version_name(std::string_view ruleset);

// "MLPerf® Training v6.0 Closed gpt_oss_20b".
std::string benchmark_name(std::string_view ruleset, std::string_view division, std::string_view benchmark);

// "27.97 minutes (unverified [1])".
std::string unverified_score(double minutes);

// The footnote [1] of such a score.
std::string unverified_footnote(std::string_view ruleset, std::string_view division, std::string_view benchmark);

// 27.969, 158.54, 1043.2, 0.05132: about what a time stamp of a millisecond is worth.
std::string minutes_text(double minutes);

}  // namespace timetrial::results
