// Layout of the flat parameter buffers, shards, starting values.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/parallel/parameters.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "timetrial/base/json.h"
#include "timetrial/ops/expert_bias.h"
#include "timetrial/ops/rounding.h"
#include "timetrial/parallel/buckets.h"

namespace timetrial {

namespace {

// Shards start at multiples of this many elements, so that every shard is aligned for any element type.
constexpr int64_t kShardAlignment = 128;

DType gradient_type(DType weights) { return weights == DType::f64 ? DType::f64 : DType::f32; }

int64_t padded(int64_t elements, int shards) {
  const int64_t unit = kShardAlignment * shards;
  return (elements + unit - 1) / unit * unit;
}

struct GroupLayout {
  ReduceGroup reduce;
  std::vector<int> members;  // parameter indices in storage order
  int64_t elements = 0;      // padded
};

std::vector<GroupLayout> lay_out(const ParameterList& list, OptimizerShard shard) {
  std::vector<GroupLayout> layouts;
  for (ReduceGroup reduce : {ReduceGroup::dense, ReduceGroup::expert}) {
    GroupLayout layout{reduce, {}, 0};
    const auto close = [&] {
      if (layout.members.empty()) return;
      layout.elements = padded(layout.elements, shard.count);
      layouts.push_back(std::exchange(layout, {reduce, {}, 0}));
    };
    for (int i = list.size() - 1; i >= 0; --i) {
      if (!list.specs()[i].trainable || list.specs()[i].reduce != reduce) continue;
      layout.members.push_back(i);
      layout.elements += list.specs()[i].shape.elements();
      if (shard.count > 1 && layout.elements >= shard.bucket_elements) close();
    }
    close();
  }
  return layouts;
}

int64_t buffer_elements(const ParameterList& list) {
  int64_t sum = 0;
  for (const ParameterSpec& spec : list.specs()) sum += spec.trainable ? 0 : spec.shape.elements();
  return sum;
}

// A small counter-based generator: value i of a stream depends on the key and i alone (the SplitMix64 finaliser).
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

double uniform(uint64_t key, uint64_t counter) {  // in (0, 1)
  return (static_cast<double>(mix(key ^ mix(counter)) >> 11) + 0.5) * 0x1.0p-53;
}

// Elements that are on the host at a time: a host copy of a whole group would be several times the weights themselves.
constexpr int64_t kPiece = int64_t{1} << 22;

// Calls work(begin, end) for pieces of [0, elements).
template <class Work>
void in_pieces(int64_t elements, const Work& work) {
  for (int64_t begin = 0; begin < elements; begin += kPiece) work(begin, std::min(begin + kPiece, elements));
}

// Elements [begin, end) of a parameter's starting values, which depend on seed, name and place alone.
std::vector<double> draw(const ParameterSpec& spec, uint64_t seed, int64_t begin, int64_t end) {
  std::vector<double> values(static_cast<size_t>(end - begin), spec.init.constant);
  if (spec.init.standard_deviation == 0) return values;
  const uint64_t key = mix(seed ^ std::stoull(hash_text(spec.name).substr(0, 16), nullptr, 16));
#pragma omp parallel for schedule(static)
  for (int64_t at = begin; at < end; ++at) {  // Box-Muller, one value per pair of uniforms
    const auto i = static_cast<uint64_t>(at);
    const double radius = std::sqrt(-2 * std::log(uniform(key, 2 * i)));
    values[static_cast<size_t>(at - begin)] +=
        spec.init.standard_deviation * radius * std::cos(2 * std::numbers::pi * uniform(key, 2 * i + 1));
  }
  return values;
}

}  // namespace

ParamId ParameterList::add(ParameterSpec spec) {
  for (const ParameterSpec& other : specs_) TIMETRIAL_CHECK(other.name != spec.name, "{} is declared twice", spec.name);
  specs_.push_back(std::move(spec));
  return {size() - 1};
}

ParamId ParameterList::add_expert_bias(const std::string& name, int64_t experts, double rate) {
  const ParamId id = add({.name = name, .shape = {experts}, .decay = false, .trainable = false});
  expert_biases_.push_back({id, rate});
  return id;
}

const ParameterSpec& ParameterList::operator[](ParamId id) const {
  TIMETRIAL_CHECK(id.index >= 0 && id.index < size(), "parameter {} of {}", id.index, size());
  return specs_[id.index];
}

int64_t ParameterList::elements() const {
  int64_t sum = 0;
  for (const ParameterSpec& spec : specs_) sum += spec.trainable ? spec.shape.elements() : 0;
  return sum;
}

ParameterMemory ParameterStore::memory(const ParameterList& list, DType dtype, OptimizerShard shard) {
  ParameterMemory result;
  const DType fine = gradient_type(dtype);
  for (const GroupLayout& layout : lay_out(list, shard)) {
    const size_t all = static_cast<size_t>(layout.elements), own = all / static_cast<size_t>(shard.count);
    result.weights += all * size_of(dtype);
    result.gradients += all * size_of(fine);
    result.moments += 2 * own * size_of(fine);
    if (fine != dtype) result.master += own * size_of(fine);
  }
  result.buffers = static_cast<size_t>(buffer_elements(list)) * (size_of(fine) + sizeof(int32_t));
  return result;
}

std::vector<BucketSize> bucket_sizes(const ParameterList& list, OptimizerShard shard) {
  std::vector<BucketSize> sizes;
  for (const GroupLayout& layout : lay_out(list, shard)) sizes.push_back({layout.reduce, layout.elements});
  return sizes;
}

ParameterStore::ParameterStore(const ParameterList& list, DType dtype, Device device, OptimizerShard shard)
    : list_(list),
      dtype_(dtype),
      device_(device),
      places_(list.size()),
      ready_(list.size(), 0),
      state_(gradient_type(dtype), {buffer_elements(list)}, device),
      counts_(DType::i32, {buffer_elements(list)}, device) {
  TIMETRIAL_CHECK(shard.index >= 0 && shard.index < shard.count, "shard {} of {}", shard.index, shard.count);
  const DType fine = gradient_type(dtype);
  const auto make = [&](DType type, int64_t elements) {
    Buffer& buffer = memory_.emplace_back(device, static_cast<size_t>(elements) * size_of(type));
    return Tensor(buffer.data(), type, {elements}, device);
  };
  for (const GroupLayout& layout : lay_out(list, shard)) {
    Group group;
    group.reduce = layout.reduce;
    group.first_parameter = layout.members.back();
    const int64_t own = layout.elements / shard.count;
    group.shard_begin = own * shard.index;
    group.shard_end = group.shard_begin + own;
    group.weights = make(dtype, layout.elements);
    group.gradients = make(fine, layout.elements);
    group.master = fine == dtype ? group.weights.rows(group.shard_begin, group.shard_end) : make(fine, own);
    group.moment_1 = make(fine, own);
    group.moment_2 = make(fine, own);

    int64_t begin = 0;
    for (int index : layout.members) {
      const ParameterSpec& spec = list.specs()[index];
      places_[index] = {static_cast<int>(groups_.size()), begin};
      const int64_t end = begin + spec.shape.elements();
      const ops::ParameterSegment segment{std::max(begin, group.shard_begin) - group.shard_begin,
                                          std::min(end, group.shard_end) - group.shard_begin, spec.decay,
                                          spec.norm_weight};
      begin = end;
      if (segment.begin >= segment.end) continue;
      auto& all = group.segments;
      if (!all.empty() && all.back().end == segment.begin && all.back().decay == segment.decay &&
          all.back().norm_weight == segment.norm_weight) {
        all.back().end = segment.end;
      } else {
        all.push_back(segment);
      }
    }
    groups_.push_back(std::move(group));
  }

  int64_t begin = 0;
  for (int i = 0; i < list.size(); ++i) {
    if (list.specs()[i].trainable) continue;
    places_[i] = {-1, begin};
    begin += list.specs()[i].shape.elements();
  }
}

Tensor ParameterStore::weight(ParamId id) const {
  const Place place = places_.at(static_cast<size_t>(id.index));
  const Shape shape = list_[id].shape;
  if (place.group < 0) return state_.view().rows(place.begin, place.begin + shape.elements()).reshape(shape);
  if (watcher_.needed) watcher_.needed(static_cast<size_t>(place.group));
  return groups_[place.group].weights.rows(place.begin, place.begin + shape.elements()).reshape(shape);
}

Tensor ParameterStore::grad(ParamId id) const {
  const Place place = places_.at(static_cast<size_t>(id.index));
  const Shape shape = list_[id].shape;
  TIMETRIAL_CHECK(place.group >= 0, "{} is a buffer without gradient", list_[id].name);
  return groups_[place.group].gradients.rows(place.begin, place.begin + shape.elements()).reshape(shape);
}

void ParameterStore::grad_ready(ParamId id) {
  const int contributions = ++ready_.at(static_cast<size_t>(id.index));
  if (expected_ == 0 || contributions != list_[id].uses * expected_) return;
  const auto bucket = static_cast<size_t>(places_[static_cast<size_t>(id.index)].group);
  if (--incomplete_.at(bucket) == 0 && watcher_.filled) watcher_.filled(bucket);
}

void ParameterStore::expect(int micro_batches) {
  expected_ = micro_batches;
  incomplete_.assign(groups_.size(), 0);
  for (const Place& place : places_)
    if (place.group >= 0) ++incomplete_[static_cast<size_t>(place.group)];
}

void ParameterStore::check_all_ready(int micro_batches) {
  for (int i = 0; i < list_.size(); ++i) {
    const int expected = list_.specs()[i].trainable ? list_.specs()[i].uses * micro_batches : 0;
    TIMETRIAL_CHECK(ready_[i] == expected, "{}: {} gradient contributions in a step, expected {}",
                    list_.specs()[i].name, ready_[i], expected);
    ready_[i] = 0;
  }
}

void ParameterStore::initialize(uint64_t seed, StreamRef stream) {
  for (int i = 0; i < list_.size(); ++i) {
    const Tensor weights = weight({i});
    in_pieces(weights.elements(), [&](int64_t begin, int64_t end) {
      from_host(weights.reshape({weights.elements()}).rows(begin, end), draw(list_.specs()[i], seed, begin, end),
                stream);
    });
  }
  weights_written(stream);
}

void ParameterStore::weights_written(StreamRef stream) {
  for (Group& group : groups_) {
    if (group.master.dtype() == group.weights.dtype()) continue;
    const Tensor own = group.weights.rows(group.shard_begin, group.shard_end);
    in_pieces(own.elements(), [&](int64_t begin, int64_t end) {
      from_host(group.master.rows(begin, end), to_host(own.rows(begin, end), stream), stream);
    });
  }
  zero_moments(stream);
}

void ParameterStore::zero_gradients(StreamRef stream) {
  for (Group& group : groups_) fill_zero(group.gradients.raw(), group.gradients.bytes(), stream);
  fill_zero(counts_.view().raw(), counts_.view().bytes(), stream);
}

void ParameterStore::zero_moments(StreamRef stream) {
  for (Group& group : groups_) {
    fill_zero(group.moment_1.raw(), group.moment_1.bytes(), stream);
    fill_zero(group.moment_2.raw(), group.moment_2.bytes(), stream);
  }
}

void ParameterStore::round_gradients_to_bfloat16(StreamRef stream) {
  for (Group& group : groups_) ops::round_to_bfloat16({.x = group.gradients}, stream);
}

void ParameterStore::round_moments_to_bfloat16(StreamRef stream) {
  for (Group& group : groups_) {
    ops::round_to_bfloat16({.x = group.moment_1}, stream);
    ops::round_to_bfloat16({.x = group.moment_2}, stream);
  }
}

Tensor ParameterStore::expert_counts(ParamId bias) const {
  const Place place = places_.at(static_cast<size_t>(bias.index));
  TIMETRIAL_CHECK(place.group < 0, "{} is no expert bias", list_[bias].name);
  return counts_.view().rows(place.begin, place.begin + list_[bias].shape.elements());
}

void ParameterStore::update_expert_biases(StreamRef stream) {
  for (const ExpertBias& bias : list_.expert_biases())
    ops::expert_bias_update({.bias = weight(bias.id), .counts = expert_counts(bias.id), .rate = bias.rate}, stream);
}

std::vector<double> ParameterStore::buffers(StreamRef stream) const {
  if (watcher_.read) watcher_.read();
  return to_host(state_.view(), stream);
}

void ParameterStore::set_buffers(const std::vector<double>& values, StreamRef stream) {
  if (watcher_.read) watcher_.read();
  from_host(state_.view(), values, stream);
}

std::string ParameterStore::weights_hash(StreamRef stream) const {
  std::string hashes;
  const auto add = [&](const Tensor& tensor) {
    constexpr size_t kPiece = size_t{1} << 20;  // bytes; a host copy of all weights would double what a rank needs
    const auto* data = static_cast<const std::byte*>(tensor.raw());
    for (size_t begin = 0; begin < tensor.bytes(); begin += kPiece) {
      std::string piece(std::min(kPiece, tensor.bytes() - begin), '\0');
      copy_bytes(piece.data(), {}, data + begin, device_, piece.size(), stream);
      hashes += hash_text(piece);
    }
  };
  for (size_t bucket = 0; bucket < groups_.size(); ++bucket) {
    if (watcher_.needed) watcher_.needed(bucket);
    if (watcher_.read) watcher_.read();
    add(groups_[bucket].weights);
  }
  if (state_.view().elements() > 0) add(state_.view());
  return hash_text(hashes);
}

}  // namespace timetrial
