// Safetensors files: what is written is read, and every way a file can be wrong is named with the file.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/safetensors.h"

#include <sys/resource.h>

#include "checkpoint/files.h"

namespace timetrial::checkpoint {
namespace {

class Safetensors : public testing::CheckpointFiles {
 protected:
  std::string refusal(const std::string& header, size_t data_bytes) const {
    raw("bad.safetensors", header, data_bytes);
    return message_of([&] { SafetensorsFile(path("bad.safetensors")); });
  }
  void expect_refusal(const std::string& header, size_t data_bytes, const std::string& part) const {
    const std::string message = refusal(header, data_bytes);
    expect_contains(message, path("bad.safetensors"));
    expect_contains(message, part);
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
};

TEST_F(Safetensors, HoldWhatWasWritten) {
  shard("a.safetensors", {{"x", {2, 3}}, {"y", {}}, {"z", {4}}}, 5);
  const SafetensorsFile file(path("a.safetensors"));
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "x");
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.tensors()[1].elements(), 1);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  std::vector<double> values(3);
  file.read(file.tensors()[0], 2, values);
  EXPECT_EQ(values, (std::vector<double>{7, 8, 9}));
  file.read(file.tensors()[2], 1, values);
  EXPECT_EQ(values, (std::vector<double>{13, 14, 15}));
}

TEST_F(Safetensors, HeadersAreCompactAndAligned) {
  shard("a.safetensors", {{"x", {2}}, {"a", {1}}});
  const std::string bytes = bytes_of("a.safetensors");
  const std::string header = R"({"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";
  EXPECT_EQ(bytes.substr(8, header.size()), header);
  EXPECT_EQ((bytes.size() - 12) % 8, 0u);
}

TEST_F(Safetensors, NameWhatIsWrong) {
  text("short", "abc");
  expect_contains(message_of([&] { SafetensorsFile(path("short")); }), "has 3 bytes, too few");
  expect_contains(message_of([&] { SafetensorsFile(path("absent")); }), "cannot be opened");
  expect_contains(message_of([&] { SafetensorsFile{root_}; }), "is no regular file");
  text("text", "GGUF is another format altogether");
  expect_contains(message_of([&] { SafetensorsFile(path("text")); }), "no safetensors file");
  expect_refusal("[]", 0, "no JSON object");
  expect_refusal("{\"x\": 3}", 0, "tensor x lacks dtype");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 0, "no valid data_offsets");
  expect_refusal(R"({"x":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8, "unknown element type Q4");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "shape (-2)");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "has 8 bytes, it needs 12");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}})", 8, "which is none");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[2],)"
                 R"("data_offsets":[4,12]}})",
                 12, "tensor y starts at byte");
  expect_refusal(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9, "has 1 bytes after its last tensor");
}

TEST_F(Safetensors, NameTheTensorThatIsCutOff) {
  shard("a.safetensors", {{"x", {2}}, {"y", {100}}});
  std::filesystem::resize_file(path("a.safetensors"), std::filesystem::file_size(path("a.safetensors")) - 1);
  const std::string message = message_of([&] { SafetensorsFile(path("a.safetensors")); });
  expect_contains(message, "a.safetensors: is truncated: tensor y ends at byte");
  std::filesystem::resize_file(path("a.safetensors"), 20);
  expect_contains(message_of([&] { SafetensorsFile(path("a.safetensors")); }), "is truncated: its header needs");
}

TEST_F(Safetensors, ShrinkingInUseIsNamed) {
  shard("a.safetensors", {{"y", {100}}});
  const SafetensorsFile file(path("a.safetensors"));
  std::filesystem::resize_file(path("a.safetensors"), std::filesystem::file_size(path("a.safetensors")) - 4);
  std::vector<double> values(100);
  expect_contains(message_of([&] { file.read(file.tensors()[0], 0, values); }), "a.safetensors: ends early");
}

TEST_F(Safetensors, OtherTypesAreListedAndNotRead) {
  raw("q.safetensors", R"({"x_blocks":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4);
  const SafetensorsFile file(path("q.safetensors"));
  std::vector<double> values(4);
  expect_contains(message_of([&] { file.read(file.tensors()[0], 0, values); }), "x_blocks is of type U8");
}

TEST_F(Safetensors, AreNeverOverwrittenNorLeftInHalf) {
  shard("a.safetensors", {{"x", {2}}});
  EXPECT_THROW(shard("a.safetensors", {{"x", {2}}}), UserError);
  { const SafetensorsWriter unfinished(path("b.safetensors"), {{"x", StoredType::f32, {2}}}, {}); }
  EXPECT_FALSE(std::filesystem::exists(path("b.safetensors.partial")));
  SafetensorsWriter lacking(path("c.safetensors"), {{"x", StoredType::f32, {2}}}, {});
  EXPECT_THROW(lacking.finish(), Error);
}

// 64 GB on paper (a sparse file): only what is asked for is ever in memory.
TEST_F(Safetensors, AreReadInPartsOfAnyFile) {
  const int64_t elements = int64_t{1} << 34;
  const std::string header =
      fmt::format(R"({{"x":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", elements, 4 * elements);
  raw("huge.safetensors", header, 0);
  std::filesystem::resize_file(path("huge.safetensors"),
                               static_cast<uintmax_t>(8 + static_cast<int64_t>(header.size()) + 4 * elements));
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const SafetensorsFile file(path("huge.safetensors"));
  std::vector<double> values(1000, 1);
  file.read(file.tensors()[0], elements - 1000, values);
  EXPECT_EQ(values, std::vector<double>(1000, 0));
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 100 * 1024);  // kB
}

}  // namespace
}  // namespace timetrial::checkpoint
