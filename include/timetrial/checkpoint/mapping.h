// Mapping: which tensors of a Hugging Face checkpoint make which parameter of the engine, and in what layout.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "timetrial/base/json.h"
#include "timetrial/checkpoint/folder.h"

namespace timetrial::checkpoint {

// How a stored tensor lies, against the engine's parameter. "Interleaved" are gate and up channels that alternate,
// g0 u0 g1 u1 ..., where the engine has all of gate, then all of up.
enum class Layout {
  plain,                   // the same elements in the same order
  transposed,              // stored (E, A, B), engine (E, B, A)
  interleaved,             // stored (E, 2F), engine (E, [gate F ; up F])
  transposed_interleaved,  // stored (E, A, 2F), engine (E, [gate F ; up F], A)
};

// One stored tensor and where its elements go.
struct Piece {
  std::string tensor;
  std::vector<int64_t> shape;  // as stored
  Layout layout = Layout::plain;
  int64_t begin = 0;  // first element of the parameter that it fills; it fills as many as it has
  // The stored tensor may have other rows than `shape`: its leading ones are taken, and rows beyond it are zero (how
  // the reference loads an embedding of another vocabulary, spec 7.2). Plain layout only.
  bool leading_rows = false;
  int64_t elements() const;
};

struct MappedParameter {
  std::string name;  // the engine's
  int64_t elements = 0;
  std::vector<Piece> pieces;  // together they fill it exactly once
};

// What a workload knows about the checkpoints of its published model.
struct Format {
  std::vector<MappedParameter> parameters;
  Json config;  // config.json of this shape, for transformers
  // Tensors that a checkpoint may hold beside these, and that are not read: copies of others.
  std::vector<std::string> ignored = {};
  // config.json keys that do not say what the model computes, so that a stored value may differ.
  std::vector<std::string> free_config_keys = {};
};

// Throws Error when pieces overlap, leave gaps or do not suit their layout: a mapping that is a bug.
void check_mapping(const std::vector<MappedParameter>& parameters);

// Everything about the folder that does not fit: tensors missing, unexpected, of another shape or of a type that cannot
// be read (each with its file), and config.json values that differ. Empty: it can be loaded. A quantised checkpoint is
// named as such.
std::vector<std::string> problems(const Format& format, const CheckpointFolder& folder);

// Reads one parameter in parts: `take(begin, values)` gets elements [begin, begin + values.size()) of the engine's
// parameter, each element exactly once, in parts of at most a few million or one expert. Throws DataError for a value
// that is not finite, with its place. The folder must have no problems().
using TakeValues = std::function<void(int64_t begin, std::span<const double> values)>;
void read_parameter(const MappedParameter& parameter, const CheckpointFolder& folder, const TakeValues& take);

// Writes all tensors of the format as `type`: `give(parameter, begin, values)` fills in elements of the parameter of
// that index. The same parts as above. Padded rows are written too: the file has the shapes of the mapping.
using GiveValues = std::function<void(size_t parameter, int64_t begin, std::span<double> values)>;
struct WriteSpec {
  std::string folder;
  StoredType type = StoredType::bf16;
  int64_t shard_bytes = 5'000'000'000;
};
void write_checkpoint(const Format& format, const WriteSpec& spec, const GiveValues& give);

}  // namespace timetrial::checkpoint
