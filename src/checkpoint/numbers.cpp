// Element types of safetensors: names, sizes, bytes to numbers and back.
// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "timetrial/base/error.h"
#include "timetrial/checkpoint/safetensors.h"

namespace timetrial::checkpoint {

namespace {

// Values are read and written in the machine's own byte order; the format's is little-endian.
static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// IEEE half precision: 5 bits of exponent, 10 of fraction.
double from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value;
  if (exponent == 31)
    value = fraction == 0 ? INFINITY : NAN;
  else if (exponent == 0)
    value = std::ldexp(fraction, -24);
  else
    value = std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -value : value;
}

uint16_t to_half(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (size >= 65520) return sign | 0x7c00;  // halfway between the largest number and the next power of two
  int exponent = -14;                       // of the unit that the fraction counts in, subnormals included
  if (size >= 0x1p-14) exponent = std::ilogb(size);
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  // A fraction that rounds up to 2048 carries into the exponent by itself.
  const uint32_t biased = size >= 0x1p-14 ? static_cast<uint32_t>(exponent + 14) << 10 : 0;
  return static_cast<uint16_t>(sign | (biased + units));
}

double from_brain(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t to_brain(double value) {
  // From double in one rounding: to odd in fp32 first, so that the second rounding cannot see a false tie.
  if (std::isnan(value)) return std::signbit(value) ? 0xffc0 : 0x7fc0;
  auto single = static_cast<float>(value);
  auto bits = std::bit_cast<uint32_t>(single);
  if (std::isfinite(single) && static_cast<double>(single) != value) {
    if (std::fabs(static_cast<double>(single)) > std::fabs(value)) --bits;
    bits |= 1;
  }
  if (!std::isfinite(single)) return static_cast<uint16_t>(bits >> 16);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class Stored, class Convert>
void decode_as(std::span<const std::byte> bytes, std::span<double> out, Convert convert) {
  TIMETRIAL_CHECK(bytes.size() == out.size() * sizeof(Stored), "{} bytes for {} elements", bytes.size(), out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = convert(load<Stored>(bytes.data() + i * sizeof(Stored)));
}

template <class Stored, class Convert>
void encode_as(std::span<const double> values, std::span<std::byte> out, Convert convert) {
  TIMETRIAL_CHECK(out.size() == values.size() * sizeof(Stored), "{} bytes for {} elements", out.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Stored stored = convert(values[i]);
    std::memcpy(out.data() + i * sizeof(Stored), &stored, sizeof(Stored));
  }
}

}  // namespace

size_t size_of(StoredType type) {
  switch (type) {
    case StoredType::f64:
    case StoredType::i64:
      return 8;
    case StoredType::f32:
    case StoredType::i32:
      return 4;
    case StoredType::f16:
    case StoredType::bf16:
      return 2;
    case StoredType::other:
      break;
  }
  throw Error("the size of a stored type that is not known");
}

std::string_view name_of(StoredType type) {
  switch (type) {
    case StoredType::f64:
      return "F64";
    case StoredType::f32:
      return "F32";
    case StoredType::f16:
      return "F16";
    case StoredType::bf16:
      return "BF16";
    case StoredType::i64:
      return "I64";
    case StoredType::i32:
      return "I32";
    case StoredType::other:
      return "another type";
  }
  throw Error("unknown stored type");
}

bool is_floating(StoredType type) {
  return type == StoredType::f64 || type == StoredType::f32 || type == StoredType::f16 || type == StoredType::bf16;
}

StoredType stored_type_of(const std::string& word) {
  const std::pair<const char*, StoredType> names[] = {
      {"bf16", StoredType::bf16}, {"fp16", StoredType::f16}, {"fp32", StoredType::f32}, {"fp64", StoredType::f64}};
  for (const auto& [name, type] : names)
    if (word == name || word == std::string("f") + (name + 2)) return type;
  throw UserError(fmt::format("\"{}\" is no element type of a checkpoint; use bf16, fp16, fp32 or fp64", word));
}

void decode(StoredType type, std::span<const std::byte> bytes, std::span<double> out) {
  const auto widen = [](auto value) { return static_cast<double>(value); };
  switch (type) {
    case StoredType::f64:
      return decode_as<double>(bytes, out, widen);
    case StoredType::f32:
      return decode_as<float>(bytes, out, widen);
    case StoredType::f16:
      return decode_as<uint16_t>(bytes, out, from_half);
    case StoredType::bf16:
      return decode_as<uint16_t>(bytes, out, from_brain);
    case StoredType::i64:
      return decode_as<int64_t>(bytes, out, widen);
    case StoredType::i32:
      return decode_as<int32_t>(bytes, out, widen);
    case StoredType::other:
      break;
  }
  throw Error("numbers of a stored type that is not known");
}

void encode(StoredType type, std::span<const double> values, std::span<std::byte> out) {
  switch (type) {
    case StoredType::f64:
      return encode_as<double>(values, out, [](double value) { return value; });
    case StoredType::f32:
      return encode_as<float>(values, out, [](double value) { return static_cast<float>(value); });
    case StoredType::f16:
      return encode_as<uint16_t>(values, out, to_half);
    case StoredType::bf16:
      return encode_as<uint16_t>(values, out, to_brain);
    case StoredType::i64:
    case StoredType::i32:
    case StoredType::other:
      break;
  }
  throw Error("weights are written as floating numbers");
}

}  // namespace timetrial::checkpoint
