// Keys that this program's own logs hold beside the official ones, and what is said of a log that is no MLPerf result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace timetrial::mllog {

// Every log of this program's runs holds each of them once; logs of other programs have none.
inline constexpr std::string_view kVariantKey = "timetrial_variant";         // text
inline constexpr std::string_view kFormKey = "timetrial_form";               // text
inline constexpr std::string_view kConfigHashKey = "timetrial_config_hash";  // text; the runs of one result share it
inline constexpr std::string_view kSeedDrawnKey = "timetrial_seed_drawn";    // false: the user gave the seed

// The variant that is the benchmark itself. A log of any other is no MLPerf result, whatever rules it holds.
inline constexpr std::string_view kFullVariant = "full";

inline constexpr std::string_view kNoResult = "not an MLPerf result";

// "variant custom: not an MLPerf result"; "a small variant: ..." where the log scales rules and names no variant.
std::string no_result(std::string_view variant);

}  // namespace timetrial::mllog
