// One section of an ELF file, found by its name.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/build_identity.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <vector>

namespace timetrial::launch {

namespace {

constexpr const char* kSection = "timetrial_build";
constexpr size_t kMost = 1 << 20;  // bytes of a table or text that a sound file of ours stays far below

// `count` values at `offset`; none where the file does not hold them all.
template <class Value>
std::vector<Value> values_at(std::ifstream& file, uint64_t offset, size_t count) {
  if (count > kMost / sizeof(Value)) return {};
  std::vector<Value> values(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(Value)));
  if (!file) return {};
  return values;
}

std::string text_of(const std::vector<char>& bytes, size_t begin) {
  return begin < bytes.size() ? std::string(&bytes[begin], strnlen(&bytes[begin], bytes.size() - begin)) : "";
}

}  // namespace

std::optional<std::string> build_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const auto heads = values_at<Elf64_Ehdr>(file, 0, 1);
  if (heads.empty() || std::memcmp(heads[0].e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  const auto sections = values_at<Elf64_Shdr>(file, heads[0].e_shoff, heads[0].e_shnum);
  if (heads[0].e_shstrndx >= sections.size()) return "";
  const Elf64_Shdr& table = sections[heads[0].e_shstrndx];
  const auto names = values_at<char>(file, table.sh_offset, table.sh_size);
  for (const Elf64_Shdr& section : sections)
    if (text_of(names, section.sh_name) == kSection)
      return text_of(values_at<char>(file, section.sh_offset, section.sh_size), 0);
  return "";
}

}  // namespace timetrial::launch
