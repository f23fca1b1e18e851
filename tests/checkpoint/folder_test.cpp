// Folders of one file or many: found, checked against their index, written back.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/folder.h"

#include <nlohmann/json.hpp>

#include "checkpoint/files.h"

namespace timetrial::checkpoint {
namespace {

class Folder : public testing::CheckpointFiles {
 protected:
  void index(const Json& map) const { text("model.safetensors.index.json", Json{{"weight_map", map}}.dump()); }
  std::string refusal() const {
    return message_of([&] { CheckpointFolder{root_}; });
  }
};

TEST_F(Folder, OfOneFileOrOfShardsIsOneSetOfTensors) {
  shard("model.safetensors", {{"x", {2, 3}}, {"y", {4}}});
  EXPECT_EQ(CheckpointFolder(root_).tensors().size(), 2u);
  EXPECT_EQ(CheckpointFolder(path("model.safetensors")).bytes(), 40);
  shard("one.safetensors", {{"x", {2, 3}}});
  shard("two.safetensors", {{"y", {4}}}, 100);
  index({{"x", "one.safetensors"}, {"y", "two.safetensors"}});
  const CheckpointFolder folder(root_);  // the index counts where both are there
  EXPECT_EQ(folder.files().size(), 2u);
  EXPECT_EQ(folder.elements(), 10);
  std::vector<double> values(1);
  const FolderTensor* y = folder.find("y");
  ASSERT_NE(y, nullptr);
  folder.file_of(*y).read(y->tensor, 3, values);
  EXPECT_EQ(values[0], 103);
  EXPECT_EQ(folder.find("z"), nullptr);
}

TEST_F(Folder, NamesWhatDoesNotFitTheIndex) {
  expect_contains(refusal(), "has neither model.safetensors nor model.safetensors.index.json");
  shard("one.safetensors", {{"x", {2}}});
  index({{"x", "one.safetensors"}, {"y", "two.safetensors"}});
  expect_contains(refusal(), "two.safetensors: is missing, but model.safetensors.index.json says that it holds y");
  shard("two.safetensors", {{"z", {2}}});
  expect_contains(refusal(), "two.safetensors: holds tensor z, which model.safetensors.index.json does not name");
  index({{"x", "one.safetensors"}, {"z", "one.safetensors"}, {"y", "two.safetensors"}});
  const std::string swapped = refusal();
  expect_contains(swapped, "lacks tensor");
  std::filesystem::remove(path("two.safetensors"));
  shard("two.safetensors", {{"x", {2}}});
  index({{"x", "one.safetensors"}, {"y", "two.safetensors"}});
  expect_contains(refusal(), "two.safetensors: holds tensor x, which");
  text("model.safetensors.index.json", "{}");
  expect_contains(refusal(), "has no weight_map");
  text("model.safetensors.index.json", "{");
  expect_contains(refusal(), "model.safetensors.index.json");
  index({{"x", "../one.safetensors"}});
  expect_contains(refusal(), "is no file name");
}

TEST_F(Folder, IsWrittenInShardsWithAnIndex) {
  const std::vector<SafetensorsWriter::Entry> entries = {
      {"a", StoredType::f32, {3}}, {"b", StoredType::f32, {2}}, {"c", StoredType::f32, {9}}};
  std::vector<float> values(14);
  std::iota(values.begin(), values.end(), 0.0f);
  const auto part = [&](size_t begin, size_t count) { return std::as_bytes(std::span(values).subspan(begin, count)); };
  FolderWriter writer(path("out"), entries, 20);  // a and b fill one shard, c exceeds one alone
  writer.append(part(0, 1));
  writer.append(part(1, 2));
  writer.append(part(3, 2));
  writer.append(part(5, 9));
  writer.finish({{"model_type", "llama"}});
  const CheckpointFolder folder(path("out"));
  EXPECT_EQ(folder.files().size(), 2u);
  EXPECT_EQ(folder.config()["model_type"], "llama");
  std::vector<double> read(9);
  folder.file_of(*folder.find("c")).read(folder.find("c")->tensor, 0, read);
  EXPECT_EQ(read.back(), 13);
  const Json index = read_json_file(path("out/model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], 56);
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
  expect_contains(message_of([&] { FolderWriter(path("out"), entries, 20); }), "never overwritten");
}

}  // namespace
}  // namespace timetrial::checkpoint
