// Layouts as index arithmetic, and reading and writing parameters through them.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/checkpoint/mapping.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "timetrial/base/error.h"

namespace timetrial::checkpoint {

namespace {

constexpr int64_t kPart = int64_t{1} << 22;  // elements handed over at once

// A piece in slabs whose elements move only among themselves: runs of a plain tensor, experts of the others.
struct Slabs {
  int64_t count, elements;
};
Slabs slabs_of(const Piece& piece) {
  const int64_t all = piece.elements();
  if (piece.layout == Layout::plain) return {(all + kPart - 1) / kPart, kPart};
  const int64_t experts = piece.shape.front();
  return {experts, all / std::max<int64_t>(experts, 1)};
}

// Where element `i` of a slab stands in the engine's order.
int64_t engine_index(const Piece& piece, int64_t i) {
  const int64_t last = piece.shape.back();
  const auto deinterleaved = [&](int64_t channel) { return channel % 2 == 0 ? channel / 2 : last / 2 + channel / 2; };
  switch (piece.layout) {
    case Layout::plain:
      return i;
    case Layout::interleaved:
      return deinterleaved(i);
    case Layout::transposed:
      return i % last * piece.shape[1] + i / last;
    case Layout::transposed_interleaved:
      return deinterleaved(i % last) * piece.shape[1] + i / last;
  }
  throw Error("unknown layout");
}

size_t rank_of(Layout layout) {
  switch (layout) {
    case Layout::plain:
      return 0;
    case Layout::interleaved:
      return 2;
    case Layout::transposed:
    case Layout::transposed_interleaved:
      return 3;
  }
  throw Error("unknown layout");
}

// How many elements of a plain piece the stored tensor gives; beyond them stand zeros.
int64_t stored_elements(const Piece& piece, const StoredTensor& tensor) {
  return std::min(piece.elements(), tensor.elements());
}

void require_finite(std::span<const double> values, int64_t first, const StoredTensor& tensor,
                    const std::string& file) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw DataError(file, fmt::format("tensor {} holds {} at element {}", tensor.name, values[i],
                                        first + static_cast<int64_t>(i)));
}

}  // namespace

int64_t Piece::elements() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

void check_mapping(const std::vector<MappedParameter>& parameters) {
  for (const MappedParameter& parameter : parameters) {
    int64_t at = 0;
    for (const Piece& piece : parameter.pieces) {
      TIMETRIAL_CHECK(piece.begin == at, "{}: {} begins at {}, the piece before it ends at {}", parameter.name,
                      piece.tensor, piece.begin, at);
      at += piece.elements();
      TIMETRIAL_CHECK(piece.layout == Layout::plain || piece.shape.size() == rank_of(piece.layout),
                      "{}: {} of shape {} does not suit its layout", parameter.name, piece.tensor,
                      text_of(piece.shape));
      TIMETRIAL_CHECK(!piece.leading_rows || piece.layout == Layout::plain, "{}: leading rows of another layout",
                      piece.tensor);
    }
    TIMETRIAL_CHECK(at == parameter.elements, "{} has {} elements, its tensors {}", parameter.name, parameter.elements,
                    at);
  }
}

void read_parameter(const MappedParameter& parameter, const CheckpointFolder& folder, const TakeValues& take) {
  std::vector<double> stored, values;
  for (const Piece& piece : parameter.pieces) {
    const FolderTensor* found = folder.find(piece.tensor);
    TIMETRIAL_CHECK(found != nullptr, "{} is not in the checkpoint", piece.tensor);
    const SafetensorsFile& file = folder.file_of(*found);
    const int64_t present = stored_elements(piece, found->tensor);
    const Slabs slabs = slabs_of(piece);
    for (int64_t slab = 0; slab < slabs.count; ++slab) {
      const int64_t first = slab * slabs.elements;
      const int64_t count = std::min(slabs.elements, piece.elements() - first);
      stored.assign(static_cast<size_t>(count), 0);
      const int64_t given = std::clamp<int64_t>(present - first, 0, count);
      const std::span<double> read = std::span(stored).first(static_cast<size_t>(given));
      if (given > 0) file.read(found->tensor, first, read);
      require_finite(read, first, found->tensor, file.path());
      if (piece.layout == Layout::plain) {
        take(piece.begin + first, stored);
        continue;
      }
      values.resize(stored.size());
      for (int64_t i = 0; i < count; ++i)
        values[static_cast<size_t>(engine_index(piece, i))] = stored[static_cast<size_t>(i)];
      take(piece.begin + first, values);
    }
  }
}

void write_checkpoint(const Format& format, const WriteSpec& spec, const GiveValues& give) {
  struct Source {
    size_t parameter;
    const Piece* piece;
  };
  std::vector<Source> sources;
  for (size_t p = 0; p < format.parameters.size(); ++p)
    for (const Piece& piece : format.parameters[p].pieces) sources.push_back({p, &piece});
  // By name, as the reference library orders tensors of one type.
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.piece->tensor < b.piece->tensor; });
  std::vector<SafetensorsWriter::Entry> entries;
  for (const Source& source : sources) entries.push_back({source.piece->tensor, spec.type, source.piece->shape});

  FolderWriter writer(spec.folder, entries, spec.shard_bytes);
  std::vector<double> values, stored;
  std::vector<std::byte> bytes;
  for (const Source& source : sources) {
    const Piece& piece = *source.piece;
    const Slabs slabs = slabs_of(piece);
    for (int64_t slab = 0; slab < slabs.count; ++slab) {
      const int64_t first = slab * slabs.elements;
      const int64_t count = std::min(slabs.elements, piece.elements() - first);
      values.resize(static_cast<size_t>(count));
      give(source.parameter, piece.begin + first, values);
      stored.resize(values.size());
      for (int64_t i = 0; i < count; ++i)
        stored[static_cast<size_t>(i)] = values[static_cast<size_t>(engine_index(piece, i))];
      bytes.resize(stored.size() * size_of(spec.type));
      encode(spec.type, stored, bytes);
      writer.append(bytes);
    }
  }
  writer.finish(format.config);
}

}  // namespace timetrial::checkpoint
