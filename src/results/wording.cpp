// The texts, put together.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/wording.h"

#include <fmt/core.h>

#include <cctype>

#include "timetrial/mllog/own_keys.h"

namespace timetrial::results {

std::string small_variant_words(std::string_view variant) {
  return mllog::no_result(variant) + ", and not to be compared with one";
}

std::string version_name(std::string_view ruleset) {
  const size_t second = ruleset.find('.', ruleset.find('.') + 1);
  return fmt::format("v{}", ruleset.substr(0, second));
}

std::string benchmark_name(std::string_view ruleset, std::string_view division, std::string_view benchmark) {
  std::string capital(division);
  if (!capital.empty()) capital[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(capital[0])));
  return fmt::format("MLPerf® Training {} {} {}", version_name(ruleset), capital, benchmark);
}

std::string unverified_score(double minutes) {
  return fmt::format("{} minutes ({} [1])", minutes_text(minutes), kUnverified);
}

std::string unverified_footnote(std::string_view ruleset, std::string_view division, std::string_view benchmark) {
  return fmt::format("[1] Unverified {}. {} {}", benchmark_name(ruleset, division, benchmark), kNotVerified,
                     kTrademark);
}

std::string minutes_text(double minutes) {
  if (!(minutes < 1000)) return fmt::format("{:.1f}", minutes);
  if (minutes >= 100) return fmt::format("{:.2f}", minutes);
  return minutes >= 1 ? fmt::format("{:.3f}", minutes) : fmt::format("{:.4g}", minutes);
}

}  // namespace timetrial::results
