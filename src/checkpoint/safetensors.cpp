// Header checks, positioned reads, and the writer.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/safetensors.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial::checkpoint {

namespace {

constexpr int64_t kMostHeader = 100'000'000;  // the reference library refuses longer ones as well

struct TypeName {
  const char* name;
  StoredType type;
  int64_t bits;
};
constexpr TypeName kTypes[] = {
    {"F64", StoredType::f64, 64},      {"F32", StoredType::f32, 32},      {"F16", StoredType::f16, 16},
    {"BF16", StoredType::bf16, 16},    {"I64", StoredType::i64, 64},      {"I32", StoredType::i32, 32},
    {"I16", StoredType::other, 16},    {"I8", StoredType::other, 8},      {"U64", StoredType::other, 64},
    {"U32", StoredType::other, 32},    {"U16", StoredType::other, 16},    {"U8", StoredType::other, 8},
    {"BOOL", StoredType::other, 8},    {"F8_E4M3", StoredType::other, 8}, {"F8_E5M2", StoredType::other, 8},
    {"F8_E8M0", StoredType::other, 8}, {"F4", StoredType::other, 4},
};

void read_exactly(int file, const std::string& path, int64_t offset, int64_t count, std::byte* out) {
  while (count > 0) {
    const ssize_t got = ::pread(file, out, static_cast<size_t>(std::min<int64_t>(count, 1 << 30)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw DataError(path, fmt::format("cannot be read ({})", std::strerror(errno)));
    if (got == 0) throw DataError(path, fmt::format("ends early: byte {} is missing; copy the file again", offset));
    out += got;
    offset += got;
    count -= got;
  }
}

int64_t product(const std::vector<int64_t>& shape, const std::string& path, const std::string& name) {
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 0 || (extent > 0 && elements > std::numeric_limits<int64_t>::max() / 64 / extent))
      throw DataError(path, fmt::format("tensor {} has the shape {}, which is none", name, text_of(shape)));
    elements *= extent;
  }
  return elements;
}

StoredTensor parse_tensor(const std::string& name, const Json& entry, const std::string& path, int64_t data_begin) {
  StoredTensor tensor;
  tensor.name = name;
  try {
    tensor.type_name = entry.at("dtype").get<std::string>();
    tensor.shape = entry.at("shape").get<std::vector<int64_t>>();
    const auto offsets = entry.at("data_offsets").get<std::vector<int64_t>>();
    if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0] ||
        offsets[1] > std::numeric_limits<int64_t>::max() - data_begin)
      throw DataError(path, fmt::format("tensor {} has no valid data_offsets", name));
    tensor.begin = data_begin + offsets[0];
    tensor.end = data_begin + offsets[1];
  } catch (const Json::exception&) {
    throw DataError(path, fmt::format("the header's entry of tensor {} lacks dtype, shape or data_offsets", name));
  }
  const auto type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                 [&](const TypeName& candidate) { return tensor.type_name == candidate.name; });
  if (type == std::end(kTypes))
    throw DataError(path, fmt::format("tensor {} has the unknown element type {}", name, tensor.type_name));
  tensor.type = type->type;
  const int64_t bytes = (product(tensor.shape, path, name) * type->bits + 7) / 8;
  if (bytes != tensor.bytes())
    throw DataError(path, fmt::format("tensor {} of shape {} and type {} has {} bytes, it needs {}", name,
                                      text_of(tensor.shape), tensor.type_name, tensor.bytes(), bytes));
  return tensor;
}

}  // namespace

int64_t StoredTensor::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string text_of(const std::vector<int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0)
    throw DataError(path, fmt::format("cannot be opened ({})", std::strerror(errno)));
  try {
    if (!S_ISREG(status.st_mode)) throw DataError(path, "is no regular file");
    const int64_t size = status.st_size;
    uint64_t header_bytes = 0;
    if (size < static_cast<int64_t>(sizeof(header_bytes)))
      throw DataError(path, fmt::format("has {} bytes, too few for a safetensors file", size));
    read_exactly(file_, path, 0, sizeof(header_bytes), reinterpret_cast<std::byte*>(&header_bytes));
    if (header_bytes > kMostHeader)
      throw DataError(path, fmt::format("claims a header of {} bytes: no safetensors file", header_bytes));
    const int64_t data_begin = static_cast<int64_t>(sizeof(header_bytes) + header_bytes);
    if (data_begin > size)
      throw DataError(path, fmt::format("is truncated: its header needs {} bytes, the file has {}", data_begin, size));
    std::string text(header_bytes, '\0');
    read_exactly(file_, path, sizeof(header_bytes), static_cast<int64_t>(header_bytes),
                 reinterpret_cast<std::byte*>(text.data()));
    const Json header = Json::parse(text, nullptr, false);
    if (!header.is_object()) throw DataError(path, "has a header that is no JSON object: no safetensors file");
    for (const auto& [name, entry] : header.items()) {
      if (name != "__metadata__") {
        tensors_.push_back(parse_tensor(name, entry, path, data_begin));
        continue;
      }
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) metadata_[key] = value.get<std::string>();
    }
    std::sort(tensors_.begin(), tensors_.end(), [](const StoredTensor& a, const StoredTensor& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    int64_t at = data_begin;
    for (const StoredTensor& tensor : tensors_) {
      if (tensor.begin != at)
        throw DataError(path, fmt::format("tensor {} starts at byte {}, the one before it ends at {}", tensor.name,
                                          tensor.begin, at));
      at = tensor.end;
      if (at > size)
        throw DataError(path, fmt::format("is truncated: tensor {} ends at byte {}, the file has {}; copy it again",
                                          tensor.name, at, size));
    }
    if (at != size)
      throw DataError(path, fmt::format("has {} bytes after its last tensor, which ends at {}", size - at, at));
  } catch (...) {
    ::close(file_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() {
  if (file_ >= 0) ::close(file_);
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      tensors_(std::move(other.tensors_)),
      metadata_(std::move(other.metadata_)) {}

void SafetensorsFile::read_bytes(const StoredTensor& tensor, int64_t first, int64_t count, std::byte* out) const {
  const auto size = static_cast<int64_t>(size_of(tensor.type));
  TIMETRIAL_CHECK(first >= 0 && count >= 0 && first + count <= tensor.elements(), "elements [{}, {}) of {} with {}",
                  first, first + count, tensor.name, tensor.elements());
  read_exactly(file_, path_, tensor.begin + first * size, count * size, out);
}

void SafetensorsFile::read(const StoredTensor& tensor, int64_t first, std::span<double> out) const {
  if (tensor.type == StoredType::other)
    throw DataError(path_, fmt::format("tensor {} is of type {}, which holds no plain numbers; bf16, fp16, fp32 and "
                                       "fp64 can be read",
                                       tensor.name, tensor.type_name));
  std::vector<std::byte> bytes(out.size() * size_of(tensor.type));
  read_bytes(tensor, first, static_cast<int64_t>(out.size()), bytes.data());
  decode(tensor.type, bytes, out);
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, const std::vector<Entry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : path_(path) {
  if (std::filesystem::exists(path))
    throw UserError(
        fmt::format("{}: exists already, and checkpoints are never overwritten; give another folder", path));
  // Ordered by place, not by name: the reference library writes and expects no order, people read it in this one.
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const Entry& entry : entries) {
    int64_t bytes = static_cast<int64_t>(size_of(entry.type));
    for (const int64_t extent : entry.shape) bytes *= extent;
    TIMETRIAL_CHECK(!header.contains(entry.name), "tensor {} is written twice", entry.name);
    header[entry.name] = {
        {"dtype", name_of(entry.type)}, {"shape", entry.shape}, {"data_offsets", {missing_, missing_ + bytes}}};
    missing_ += bytes;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  file_ = ::open((path + ".partial").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) throw UserError(fmt::format("{}: cannot be made ({})", path, std::strerror(errno)));
  const uint64_t length = text.size();
  missing_ += static_cast<int64_t>(sizeof(length) + text.size());
  append(std::as_bytes(std::span(&length, 1)));
  append(std::as_bytes(std::span(text)));
}

SafetensorsWriter::~SafetensorsWriter() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink((path_ + ".partial").c_str());
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  missing_ -= static_cast<int64_t>(bytes.size());
  TIMETRIAL_CHECK(missing_ >= 0, "{}: {} bytes more than its header names", path_, -missing_);
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw UserError(
          fmt::format("{}: cannot be written ({}); free the disk or give another folder", path_, std::strerror(errno)));
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void SafetensorsWriter::finish() {
  TIMETRIAL_CHECK(missing_ == 0, "{}: {} bytes were never written", path_, missing_);
  if (::fsync(file_) != 0 || ::close(std::exchange(file_, -1)) != 0)
    throw UserError(fmt::format("{}: cannot be written ({})", path_, std::strerror(errno)));
  if (::rename((path_ + ".partial").c_str(), path_.c_str()) != 0)
    throw UserError(fmt::format("{}: cannot be made ({})", path_, std::strerror(errno)));
}

}  // namespace timetrial::checkpoint
