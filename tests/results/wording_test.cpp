// The words that the MLPerf results messaging guidelines ask for, letter by letter.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/wording.h"

#include <gtest/gtest.h>

namespace timetrial::results {
namespace {

TEST(Wording, UnverifiedScore) {
  EXPECT_EQ(unverified_score(27.9688), "27.969 minutes (unverified [1])");
  EXPECT_EQ(kNotVerified, "Result not verified by MLCommons Association.");
  EXPECT_EQ(
      unverified_footnote("5.1.0", "open", "llama31_405b"),
      "[1] Unverified MLPerf® Training v5.1 Open llama31_405b. Result not verified by MLCommons Association. The "
      "MLPerf name and logo are registered and unregistered trademarks of MLCommons Association in the United States "
      "and other countries. All rights reserved. Unauthorized use strictly prohibited. See www.mlcommons.org for "
      "more information.");
}

TEST(Wording, ComparisonWithVerifiedResults) {
  EXPECT_EQ(kUnverifiedComparison,
            "Unverified results have not been through an MLPerf review and may use measurement methodologies and/or "
            "workload implementations that are inconsistent with the MLPerf specification for verified results.");
}

TEST(Wording, SmallVariantsSayThatTheyAreNone) {
  EXPECT_EQ(small_variant_words(""), "a small variant: not an MLPerf result, and not to be compared with one");
  EXPECT_EQ(small_variant_words("custom"), "variant custom: not an MLPerf result, and not to be compared with one");
}

TEST(Wording, Minutes) {
  EXPECT_EQ(minutes_text(0.40312), "0.4031");
  EXPECT_EQ(minutes_text(9.99455), "9.995");
  EXPECT_EQ(minutes_text(241.257), "241.26");
  EXPECT_EQ(minutes_text(1043.21), "1043.2");
  EXPECT_EQ(version_name("6.0.0"), "v6.0");
}

}  // namespace
}  // namespace timetrial::results
