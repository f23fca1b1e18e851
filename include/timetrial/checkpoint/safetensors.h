// Safetensors files: a JSON header that names tensors, then their bytes. Read tensor by tensor, or part by part.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial::checkpoint {

// Element types that weights and recorded values come in; `other` are those that no reader here understands.
enum class StoredType { f64, f32, f16, bf16, i64, i32, other };

size_t size_of(StoredType type);            // bytes; throws Error for `other`
std::string_view name_of(StoredType type);  // as the header spells it: "F64", "BF16", "I32"
bool is_floating(StoredType type);
// "bf16", "fp16", "fp32", "fp64" (and "f16", ...). Throws UserError naming the choices.
StoredType stored_type_of(const std::string& word);

struct StoredTensor {
  std::string name;
  StoredType type = StoredType::f32;
  std::string type_name;  // as the header has it
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  // bytes in the file
  int64_t elements() const;
  int64_t bytes() const { return end - begin; }
};
std::string text_of(const std::vector<int64_t>& shape);  // "(4, 128)"

// One file open for reading. Only the header is read and checked until read() is called; nothing is mapped, so memory
// is the header's size, whatever the file's. Thread-safe.
class SafetensorsFile {
 public:
  // Throws DataError naming the file, the tensor and both numbers: no header, a header beyond the file's end, JSON that
  // is none, offsets that overlap or leave gaps, a size that is not the shape's, a file shorter or longer than its
  // tensors.
  explicit SafetensorsFile(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;

  const std::string& path() const { return path_; }
  const std::vector<StoredTensor>& tensors() const { return tensors_; }  // by place in the file
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // Elements [first, first + count) of the flattened tensor, as the file has them. Throws DataError when the file ends
  // early: it shrank while in use.
  void read_bytes(const StoredTensor& tensor, int64_t first, int64_t count, std::byte* out) const;
  // The same as numbers; every type but 64-bit integers above 2^53 is exact. Throws DataError for type `other`.
  void read(const StoredTensor& tensor, int64_t first, std::span<double> out) const;

 private:
  std::string path_;
  int file_ = -1;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes one file, tensor after tensor in the order given, under PATH.partial until finish(). The header is compact and
// padded with spaces to 8 bytes, as the reference library writes it. One thread.
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    StoredType type;
    std::vector<int64_t> shape;
  };
  // Throws UserError when the file exists or cannot be made.
  SafetensorsWriter(const std::string& path, const std::vector<Entry>& entries,
                    const std::map<std::string, std::string>& metadata);
  ~SafetensorsWriter();  // unfinished: nothing is left behind
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  void append(std::span<const std::byte> bytes);  // of the entries, one after another; throws UserError on a full disk
  void finish();                                  // throws Error unless every byte of every entry was appended

 private:
  std::string path_;
  int file_ = -1;
  int64_t missing_ = 0;
};

// Numbers from and to stored bytes. Narrowing rounds to nearest, ties to even; values already of the type keep every
// bit. decode throws Error for `other`; encode for integers too.
void decode(StoredType type, std::span<const std::byte> bytes, std::span<double> out);
void encode(StoredType type, std::span<const double> values, std::span<std::byte> out);

}  // namespace timetrial::checkpoint
