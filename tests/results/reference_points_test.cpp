// The shipped points give the figures of the rules digest; pruning; a document that is none is refused in one line.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/reference_points.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"

namespace timetrial::results {
namespace {

const ReferencePoint& at(const ReferencePoints& points, double batch) {
  for (const ReferencePoint& point : points.points)
    if (point.batch == batch) return point;
  throw std::runtime_error("no such point");
}

double largest_batch(const std::string& ruleset, const std::string& benchmark) {
  const ReferencePoints points = reference_points(ruleset, benchmark).value();
  double largest = 0;
  for (const ReferencePoint& point : points.points) largest = std::max(largest, point.batch);
  return largest;
}

// Above the largest point the convergence check fails (rules digest 3.3), so the closed rules remark on such a batch.
TEST(ReferencePoints, AreWhereTheRulesRemarkOnABatch) {
  for (const auto& [ruleset, benchmark] : {std::pair{"5.1.0", "llama31_405b"},
                                           {"6.0.0", "llama31_405b"},
                                           {"6.0.0", "gpt_oss_20b"},
                                           {"6.0.0", "deepseekv3_671b"}}) {
    const Json file =
        read_json_file(fmt::format("{}/src/mllog/rules/{}/closed_{}.json", TIMETRIAL_SOURCE_DIR, ruleset, benchmark));
    std::vector<double> remarked;
    for (const Json& rule : file["keys"])
      if (rule["key"] == "global_batch_size")
        for (const Json& remark : rule.value("remarks", Json::array()))
          if (remark["rule"] == "has a reference convergence point at or above it")
            remarked.push_back(remark["check"]["at_most"].get<double>());
    EXPECT_EQ(remarked, std::vector<double>{largest_batch(ruleset, benchmark)}) << ruleset << benchmark;
  }
}

TEST(ReferencePoints, GiveTheDigestsFigures) {
  struct Row {
    const char* benchmark;
    double batch, mean, deviation, minimum;
  };
  // Rules digest 3.2, ruleset 6.0.0.
  for (const Row& row :
       {Row{"deepseekv3_671b", 15360, 725760, 15360, 685345.7},
        Row{"deepseekv3_671b", 16384, 765952, 11258.8, 736328.4},
        Row{"deepseekv3_671b", 18432, 861696, 14077.7, 824655.7}, Row{"gpt_oss_20b", 16, 194560, 8034, 188719.2},
        Row{"gpt_oss_20b", 64, 301056, 14784, 290308.3}, Row{"llama31_405b", 1152, 313344, 10642, 285344.1},
        Row{"llama31_405b", 4608, 493056, 14078, 456015.7}}) {
    const auto points = reference_points("6.0.0", row.benchmark);
    ASSERT_TRUE(points.has_value());
    const ReferencePoint& point = at(*points, row.batch);
    EXPECT_EQ(point.mean, row.mean) << row.benchmark << row.batch;
    EXPECT_NEAR(point.deviation, row.deviation, 0.51);
    EXPECT_NEAR(point.minimum, row.minimum, 0.051);
  }
}

TEST(ReferencePoints, KnowRunsUnitsAndTheAllowance) {
  EXPECT_EQ(reference_points("6.0.0", "deepseekv3_671b")->runs_required, 3);
  EXPECT_EQ(reference_points("6.0.0", "gpt_oss_20b")->runs_required, 10);
  EXPECT_EQ(reference_points("5.1.0", "retinanet")->runs_required, 5);
  EXPECT_EQ(reference_points("5.1.0", "retinanet")->unit, "epochs");
  EXPECT_EQ(reference_points("6.0.0", "gpt_oss_20b")->unit, "samples");
  EXPECT_EQ(reference_points("6.0.0", "llama31_405b")->allowance, 46080);
  EXPECT_EQ(reference_points("6.0.0", "gpt_oss_20b")->allowance, 0);
  EXPECT_FALSE(reference_points("6.0.0", "resnet").has_value());
  EXPECT_FALSE(reference_points("5.1.0", "gpt_oss_20b").has_value());
  EXPECT_THROW(reference_points("6.1.0", "gpt_oss_20b"), UserError);
}

TEST(ReferencePoints, PruneWhatTheDigestNames) {
  const std::map<std::string, std::vector<double>> pruned = {{"gpt_oss_20b", {32}},
                                                             {"llama2_70b_lora", {32}},
                                                             {"llama31_8b", {}},
                                                             {"deepseekv3_671b", {}},
                                                             {"llama31_405b", {}}};
  for (const auto& [benchmark, batches] : pruned) {
    std::vector<double> found;
    const auto points = reference_points("6.0.0", benchmark);
    for (const ReferencePoint& point : points->points)
      if (point.pruned) found.push_back(point.batch);
    EXPECT_EQ(found, batches) << benchmark;
  }
}

Json document(const std::vector<std::pair<double, double>>& means) {
  Json points = Json::array();
  for (const auto& [batch, mean] : means)
    points.push_back({{"name", fmt::format("at {}", batch)},
                      {"batch", batch},
                      {"source", "made up"},
                      {"reached", {mean, mean, mean, mean, mean, mean}}});
  return {{"schema", "timetrial.reference_points/1"},
          {"ruleset", "6.0.0"},
          {"source", "made up"},
          {"benchmarks", {{"x", {{"runs", 3}, {"unit", "samples"}, {"points", points}}}}}};
}

std::vector<double> kept(const std::vector<std::pair<double, double>>& means) {
  std::vector<double> batches;
  const auto points = parse_reference_points(document(means), "x", "test");
  for (const ReferencePoint& point : points->points)
    if (!point.pruned) batches.push_back(point.batch);
  return batches;
}

TEST(ReferencePoints, PruningWalksUpOnce) {
  EXPECT_EQ(kept({{1, 50}, {2, 40}, {4, 60}}), (std::vector<double>{2, 4}));     // 1 is slower than 2
  EXPECT_EQ(kept({{1, 10}, {2, 25}, {3, 30}}), (std::vector<double>{1, 3}));     // 2 lies above the line
  EXPECT_EQ(kept({{1, 10}, {2, 20}, {3, 30}}), (std::vector<double>{1, 2, 3}));  // on the line
  EXPECT_EQ(kept({{1, 10}, {2, 12}, {3, 40}, {4, 41}}), (std::vector<double>{1, 2, 4}));
  // No way back: with 3 gone, 2 lies above the line from 1 to 4, but was looked at before.
  EXPECT_EQ(kept({{1, 10}, {2, 20}, {3, 35}, {4, 36}}), (std::vector<double>{1, 2, 4}));
}

TEST(ReferencePoints, InterpolationIsLinearInTheBatchSize) {
  const auto points = parse_reference_points(document({{2, 100}, {4, 200}}), "x", "test");
  const ReferencePoint middle = interpolate(points->points[0], points->points[1], 2.5, 3);
  EXPECT_EQ(middle.mean, 125);
  EXPECT_EQ(middle.minimum, 125);  // no deviation, no room
}

TEST(ReferencePoints, RefusesWhatIsNoSuchDocument) {
  const Json sound = document({{2, 100}, {4, 200}});
  const auto refused = [&](const char* pointer, const Json& value) {
    Json bent = sound;
    bent[Json::json_pointer(pointer)] = value;
    try {
      parse_reference_points(bent, "x", "test");
      return false;
    } catch (const UserError& error) {
      return std::string(error.what()).find('\n') == std::string::npos;
    }
  };
  EXPECT_TRUE(parse_reference_points(sound, "x", "test").has_value());
  EXPECT_TRUE(refused("/schema", "timetrial.reference_points/2"));
  EXPECT_TRUE(refused("/benchmarks", 1));
  EXPECT_TRUE(refused("/benchmarks/x/runs", 2));
  EXPECT_TRUE(refused("/benchmarks/x/runs", "3"));
  EXPECT_TRUE(refused("/benchmarks/x/unit", "steps"));
  EXPECT_TRUE(refused("/benchmarks/x/points", Json::array()));
  EXPECT_TRUE(refused("/benchmarks/x/points/0/batch", 4));
  EXPECT_TRUE(refused("/benchmarks/x/points/0/batch", -1));
  EXPECT_TRUE(refused("/benchmarks/x/points/0/reached", {1, 2, 3}));
  EXPECT_TRUE(refused("/benchmarks/x/points/0/reached/0", "1"));
  EXPECT_THROW(parse_reference_points(Json::array(), "x", "test"), UserError);
}

}  // namespace
}  // namespace timetrial::results
