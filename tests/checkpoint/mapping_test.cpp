// Layouts element by element, bit-identical round trips, and what does not fit, named with its file.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/mapping.h"

#include <algorithm>
#include <limits>

#include "checkpoint/files.h"

namespace timetrial::checkpoint {
namespace {

class Mapped : public testing::CheckpointFiles {
 protected:
  std::vector<double> read(const MappedParameter& parameter) const {
    std::vector<double> values(static_cast<size_t>(parameter.elements), -1);
    read_parameter(parameter, CheckpointFolder(root_), [&](int64_t begin, std::span<const double> part) {
      std::copy(part.begin(), part.end(), values.begin() + begin);
    });
    return values;
  }
  static Format format_of(std::vector<MappedParameter> parameters) {
    return {.parameters = std::move(parameters), .config = nullptr};
  }
  std::vector<std::string> wrong(const Format& format) const { return problems(format, CheckpointFolder(root_)); }
};

TEST_F(Mapped, PiecesAreLaidEndToEnd) {
  shard("model.safetensors", {{"q", {2, 2}}, {"k", {1, 2}}}, 1);
  EXPECT_EQ(read({"qkv", 6, {{.tensor = "k", .shape = {1, 2}}, {.tensor = "q", .shape = {2, 2}, .begin = 2}}}),
            (std::vector<double>{5, 6, 1, 2, 3, 4}));
}

// Two experts, two inputs, gate and up of two channels each: stored (E, C, 2F) as g0 u0 g1 u1.
TEST_F(Mapped, LayoutsAreUndone) {
  shard("model.safetensors", {{"fc1", {2, 2, 4}}, {"bias", {2, 4}}, {"fc2", {2, 2, 3}}}, 0);
  EXPECT_EQ(read({"fc1", 16, {{.tensor = "fc1", .shape = {2, 2, 4}, .layout = Layout::transposed_interleaved}}}),
            (std::vector<double>{0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15}));
  EXPECT_EQ(read({"bias", 8, {{.tensor = "bias", .shape = {2, 4}, .layout = Layout::interleaved}}}),
            (std::vector<double>{16, 18, 17, 19, 20, 22, 21, 23}));
  EXPECT_EQ(read({"fc2", 12, {{.tensor = "fc2", .shape = {2, 2, 3}, .layout = Layout::transposed}}}),
            (std::vector<double>{24, 27, 25, 28, 26, 29, 30, 33, 31, 34, 32, 35}));
}

TEST_F(Mapped, LeadingRowsAreTakenAndTheRestIsZero) {
  shard("model.safetensors", {{"table", {3, 2}}}, 1);
  EXPECT_EQ(read({"t", 4, {{.tensor = "table", .shape = {2, 2}, .leading_rows = true}}}),
            (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(read({"t", 10, {{.tensor = "table", .shape = {5, 2}, .leading_rows = true}}}),
            (std::vector<double>{1, 2, 3, 4, 5, 6, 0, 0, 0, 0}));
  EXPECT_TRUE(wrong(format_of({{"t", 10, {{.tensor = "table", .shape = {5, 2}, .leading_rows = true}}}})).empty());
  EXPECT_EQ(wrong(format_of({{"t", 10, {{.tensor = "table", .shape = {5, 2}}}}})).size(), 1u);
  EXPECT_EQ(wrong(format_of({{"t", 15, {{.tensor = "table", .shape = {5, 3}, .leading_rows = true}}}})).size(), 1u);
}

// Larger than one part: 2 rows are there, 7 are wanted, so that whole parts lie beyond what is stored.
TEST_F(Mapped, LeadingRowsOfLargeTablesComeInParts) {
  constexpr int64_t kWidth = int64_t{1} << 21;
  SafetensorsWriter writer(path("model.safetensors"), {{"table", StoredType::f16, {2, kWidth}}}, {});
  const std::vector<uint16_t> ones(static_cast<size_t>(2 * kWidth), 0x3c00);
  writer.append(std::as_bytes(std::span(ones)));
  writer.finish();
  const MappedParameter table{"t", 7 * kWidth, {{.tensor = "table", .shape = {7, kWidth}, .leading_rows = true}}};
  int64_t next = 0, parts = 0;
  double sum = 0;
  read_parameter(table, CheckpointFolder(root_), [&](int64_t begin, std::span<const double> part) {
    EXPECT_EQ(begin, next);
    next += static_cast<int64_t>(part.size());
    ++parts;
    for (const double value : part) sum += value;
  });
  EXPECT_EQ(next, 7 * kWidth);
  EXPECT_GT(parts, 2);
  EXPECT_EQ(sum, static_cast<double>(2 * kWidth));
}

TEST_F(Mapped, WhatDoesNotFitIsNamedWithItsFile) {
  shard("model.safetensors", {{"a", {2, 2}}, {"stray", {1}}});
  const Format format =
      format_of({{"a", 6, {{.tensor = "a", .shape = {3, 2}}}}, {"b", 2, {{.tensor = "b", .shape = {2}}}}});
  const std::vector<std::string> found = wrong(format);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], path("model.safetensors") + ": tensor a has the shape (2, 2), the run's model needs (3, 2)");
  EXPECT_EQ(found[1], root_ + ": tensor b of shape (2) is missing");
  EXPECT_EQ(found[2], path("model.safetensors") + ": tensor stray of shape (1) belongs to nothing in the run's model");
}

TEST_F(Mapped, QuantisedCheckpointsAreRefusedByName) {
  raw("model.safetensors", R"({"fc1_blocks":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
  const Format format = format_of({{"fc1", 4, {{.tensor = "fc1", .shape = {4}}}}});
  expect_contains(wrong(format).front(), "is quantised (blocks and scales); only bf16, fp16, fp32");
  text("config.json", R"({"quantization_config": {"quant_method": "mxfp4"}})");
  expect_contains(wrong(format).front(), "is quantised (mxfp4)");
}

TEST_F(Mapped, ConfigValuesAreCompared) {
  shard("model.safetensors", {{"a", {2}}});
  Format format = format_of({{"a", 2, {{.tensor = "a", .shape = {2}}}}});
  format.config = {{"hidden_size", 16},
                   {"vocab_size", 32},
                   {"rope_parameters", {{"rope_type", "llama3"}, {"rope_theta", 500000.0}, {"factor", 8.0}}}};
  format.free_config_keys = {"vocab_size"};
  text("config.json", R"({"hidden_size": 16, "vocab_size": 99, "rope_theta": 500000,
                          "rope_scaling": {"type": "llama3", "factor": 8}, "unknown": 1})");
  EXPECT_TRUE(wrong(format).empty());
  text("config.json", R"({"hidden_size": 17, "rope_theta": 10000.0})");
  const std::vector<std::string> found = wrong(format);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], "config.json: hidden_size is 17, the run's model has 16");
  EXPECT_EQ(found[1], "config.json: rope_parameters.rope_theta is 10000.0, the run's model has 500000.0");
  EXPECT_EQ(found[2], "config.json: rope_parameters.rope_type is \"default\", the run's model has \"llama3\"");
}

TEST_F(Mapped, ValuesThatAreNoNumbersAreRefused) {
  SafetensorsWriter writer(path("model.safetensors"), {{"a", StoredType::f32, {3}}}, {});
  const float values[] = {1, 2, std::numeric_limits<float>::quiet_NaN()};
  writer.append(std::as_bytes(std::span(values)));
  writer.finish();
  expect_contains(message_of([&] {
                    read({"a", 3, {{.tensor = "a", .shape = {3}}}});
                  }),
                  "model.safetensors: tensor a holds nan at element 2");
}

// Every layout, every narrow type: what is read and written again has the same bytes, header and all.
TEST_F(Mapped, WritesBackBitIdentical) {
  const std::vector<MappedParameter> parameters = {
      {"fc1", 24, {{.tensor = "a.fc1", .shape = {2, 3, 4}, .layout = Layout::transposed_interleaved}}},
      {"bias", 8, {{.tensor = "b.bias", .shape = {2, 4}, .layout = Layout::interleaved}}},
      {"qkv", 10, {{.tensor = "c.q", .shape = {3, 2}}, {.tensor = "c.k", .shape = {2, 2}, .begin = 6}}}};
  const Format format = format_of(parameters);
  for (const StoredType type : {StoredType::bf16, StoredType::f16, StoredType::f32, StoredType::f64}) {
    double next = 0.1;
    write_checkpoint(format, {.folder = path("one"), .type = type}, [&](size_t, int64_t, std::span<double> values) {
      for (double& value : values) value = next *= -1.07;
    });
    const CheckpointFolder one(path("one"));
    std::vector<std::vector<double>> engine;
    for (const MappedParameter& parameter : parameters) {
      engine.emplace_back(static_cast<size_t>(parameter.elements));
      read_parameter(parameter, one, [&](int64_t begin, std::span<const double> part) {
        std::copy(part.begin(), part.end(), engine.back().begin() + begin);
      });
    }
    write_checkpoint(format, {.folder = path("two"), .type = type},
                     [&](size_t parameter, int64_t begin, std::span<double> values) {
                       std::copy_n(engine[parameter].begin() + begin, values.size(), values.begin());
                     });
    EXPECT_EQ(bytes_of("one/model.safetensors"), bytes_of("two/model.safetensors")) << name_of(type);
    std::filesystem::remove_all(path("one"));
    std::filesystem::remove_all(path("two"));
  }
}

TEST_F(Mapped, MappingsThatLeaveGapsAreBugs) {
  EXPECT_THROW(check_mapping({{"a", 4, {{.tensor = "x", .shape = {3}}}}}), Error);
  EXPECT_THROW(check_mapping({{"a", 4, {{.tensor = "x", .shape = {2}}, {.tensor = "y", .shape = {2}}}}}), Error);
  EXPECT_THROW(check_mapping({{"a", 4, {{.tensor = "x", .shape = {4}, .layout = Layout::transposed}}}}), Error);
  EXPECT_NO_THROW(check_mapping({{"a", 4, {{.tensor = "x", .shape = {2, 2}}}}}));
}

}  // namespace
}  // namespace timetrial::checkpoint
