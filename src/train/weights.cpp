// Parameters filled from and written to checkpoints.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/weights.h"

#include <algorithm>
#include <map>

#include "timetrial/train/model.h"

namespace timetrial {

namespace {

// Elements [begin, end) of a parameter as a flat tensor.
Tensor part_of(const Tensor& parameter, int64_t begin, size_t count) {
  return parameter.reshape({parameter.elements()}).rows(begin, begin + static_cast<int64_t>(count));
}

std::map<std::string, int> index_of(const ParameterList& list) {
  std::map<std::string, int> index;
  for (int i = 0; i < list.size(); ++i) index[list.specs()[static_cast<size_t>(i)].name] = i;
  return index;
}

}  // namespace

checkpoint::Format Workload::checkpoint_format(const RunConfig& config) const {
  throw UserError(fmt::format("{} has no checkpoints", config.workload));
}

void check_format(const checkpoint::Format& format, const ParameterList& list) {
  checkpoint::check_mapping(format.parameters);
  std::map<std::string, int> index = index_of(list);
  for (const checkpoint::MappedParameter& parameter : format.parameters) {
    const auto found = index.find(parameter.name);
    TIMETRIAL_CHECK(found != index.end(), "the checkpoint format names {}, which the model does not have once",
                    parameter.name);
    const int64_t elements = list.specs()[static_cast<size_t>(found->second)].shape.elements();
    TIMETRIAL_CHECK(elements == parameter.elements, "{} has {} elements, the checkpoint format {}", parameter.name,
                    elements, parameter.elements);
    index.erase(found);
  }
  TIMETRIAL_CHECK(index.empty(), "the checkpoint format does not name {}", index.begin()->first);
}

void load_weights(ParameterStore& store, const checkpoint::Format& format, const std::string& folder,
                  StreamRef stream) {
  check_format(format, store.list());
  const checkpoint::CheckpointFolder checkpoint(folder);
  const std::vector<std::string> wrong = checkpoint::problems(format, checkpoint);
  if (!wrong.empty())
    throw UserError(wrong.size() == 1 ? wrong.front()
                                      : fmt::format("{} ({} problems in all; timetrial checkpoint verify lists them)",
                                                    wrong.front(), wrong.size()));
  const std::map<std::string, int> index = index_of(store.list());
  for (const checkpoint::MappedParameter& parameter : format.parameters) {
    const Tensor weight = store.weight({index.at(parameter.name)});
    checkpoint::read_parameter(parameter, checkpoint, [&](int64_t begin, std::span<const double> values) {
      from_host(part_of(weight, begin, values.size()), std::vector<double>(values.begin(), values.end()), stream);
    });
  }
  store.weights_written(stream);
}

void save_weights(const ParameterStore& store, const checkpoint::Format& format, const checkpoint::WriteSpec& spec,
                  StreamRef stream) {
  check_format(format, store.list());
  const std::map<std::string, int> index = index_of(store.list());
  const auto give = [&](size_t parameter, int64_t begin, std::span<double> values) {
    const Tensor weight = store.weight({index.at(format.parameters[parameter].name)});
    const std::vector<double> part = to_host(part_of(weight, begin, values.size()), stream);
    std::copy(part.begin(), part.end(), values.begin());
  };
  checkpoint::write_checkpoint(format, spec, give);
}

}  // namespace timetrial
