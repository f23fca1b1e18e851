// Bounds of a normalisation table: a double-array trie (darts-clone) from byte sequences to positions in a block of
// NUL-terminated replacements.
// SPDX-License-Identifier: Apache-2.0
#include "data/sentencepiece_charsmap.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace timetrial {
namespace {

// Reads the fields of a protobuf message one after another.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // The next field with its bytes if it has any (wire type 2). Nothing at the end, or where the message is damaged.
  struct Field {
    uint64_t number = 0;
    std::string_view bytes;
  };
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const uint64_t tag = varint();
    Field field{tag >> 3, {}};
    switch (tag & 7) {
      case 0:
        varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        sound_ = false;  // groups: SentencePiece has none
    }
    return sound_ ? std::optional(field) : std::nullopt;
  }
  bool sound() const { return sound_; }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    sound_ = false;
    return 0;
  }
  std::string_view take(uint64_t size) {
    if (!sound_ || size > rest_.size()) {
      sound_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool sound_ = true;
};

// One unit of the trie, as darts-clone packs it.
struct Unit {
  uint32_t bits = 0;
  bool is_value() const { return bits >> 31 != 0; }
  bool has_value() const { return (bits >> 8 & 1) != 0; }  // of the byte sequence that ends here
  size_t offset() const { return size_t{bits >> 10} << ((bits & 1U << 9) >> 6); }
  size_t value() const { return bits & 0x7fff'ffff; }
};

// A step from unit i goes to i ^ offset ^ byte, the value of a sequence lies at i ^ offset.
bool leads_inside(const std::vector<Unit>& trie, size_t replacements) {
  for (size_t i = 0; i < trie.size(); ++i) {
    if (i != 0 && trie[i].is_value()) continue;  // no byte leads to it
    const size_t children = i ^ trie[i].offset();
    if ((children | 0xff) >= trie.size()) return false;
    if (trie[i].has_value() && trie[children].value() >= replacements) return false;
  }
  return true;
}

bool table_is_sound(std::string_view table) {
  if (table.empty()) return true;  // no normalisation
  uint32_t trie_bytes = 0;
  if (table.size() < sizeof(trie_bytes)) return false;
  std::memcpy(&trie_bytes, table.data(), sizeof(trie_bytes));
  table.remove_prefix(sizeof(trie_bytes));
  if (trie_bytes == 0 || trie_bytes % sizeof(Unit) != 0 || trie_bytes >= table.size()) return false;
  std::vector<Unit> trie(trie_bytes / sizeof(Unit));
  std::memcpy(trie.data(), table.data(), trie_bytes);
  const std::string_view replacements = table.substr(trie_bytes);
  return replacements.back() == '\0' && leads_inside(trie, replacements.size());
}

// Fields of sentencepiece_model.proto.
constexpr uint64_t kNormalizerSpec = 3, kDenormalizerSpec = 5, kPrecompiledCharsmap = 2;

bool spec_is_sound(std::string_view spec) {
  Fields fields(spec);
  while (const auto field = fields.next()) {
    if (field->number == kPrecompiledCharsmap && !table_is_sound(field->bytes)) return false;
  }
  return fields.sound();
}

}  // namespace

bool charsmaps_are_sound(std::string_view model) {
  Fields fields(model);
  while (const auto field = fields.next()) {
    const bool spec = field->number == kNormalizerSpec || field->number == kDenormalizerSpec;
    if (spec && !spec_is_sound(field->bytes)) return false;
  }
  return fields.sound();
}

}  // namespace timetrial
