// Flattening of JSON into known keys, the order of layers, and derived defaults.
// SPDX-License-Identifier: Apache-2.0
#include "layers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <string_view>

#include "timetrial/base/error.h"

namespace timetrial::config {

namespace {

// Walks one layer's JSON down to known keys.
class Flattener {
 public:
  Flattener(const std::vector<Field>& fields, std::string root, bool benchmark)
      : known_(keys_of(fields)), root_(std::move(root)), benchmark_(benchmark) {}

  Values operator()(const Json& layer) {
    walk(layer, "");
    return std::move(values_);
  }

 private:
  void walk(const Json& node, const std::string& prefix) {
    if (!node.is_object()) throw ConfigError(where(prefix), fmt::format("{} is not an object, {{...}}", shown(node)));
    for (const auto& [name, child] : node.items()) {
      const std::string key = prefix.empty() ? name : prefix + "." + name;
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) {
        const bool fresh = values_.emplace(key, Value{child, where(key), benchmark_}).second;
        if (!fresh) throw ConfigError(where(key), "this key is given twice, nested and dotted; keep one");
      } else if (is_section(key)) {
        walk(child, key);
      } else {
        refuse_unknown(key, child);
      }
    }
  }

  bool is_section(const std::string& key) const {
    return std::any_of(known_.begin(), known_.end(),
                       [&](const std::string& candidate) { return candidate.starts_with(key + "."); });
  }

  [[noreturn]] void refuse_unknown(const std::string& key, const Json& value) const {
    std::string near = nearest_word(key, known_);
    if (near.empty()) near = nearest_leaf(key);
    const std::string hint = near.empty() ? "no known key is near; the help lists them all"
                                          : fmt::format("the nearest known key is {}", near);
    throw ConfigError(where(shown_key(key)), fmt::format("unknown key with value {}; {}", shown(value), hint));
  }

  // A right name in the wrong section: "seed" for "train.seed".
  std::string nearest_leaf(const std::string& key) const {
    const auto leaf_of = [](const std::string& dotted) { return dotted.substr(dotted.rfind('.') + 1); };
    std::vector<std::string> leaves;
    for (const std::string& candidate : known_) leaves.push_back(leaf_of(candidate));
    const std::string near = nearest_word(leaf_of(key), leaves);
    for (const std::string& candidate : known_) {
      if (!near.empty() && leaf_of(candidate) == near) return candidate;
    }
    return "";
  }

  std::string where(const std::string& key) const {
    return key.empty() && !root_.empty() ? root_ : root_ + path_of(key);
  }

  std::vector<std::string> known_;
  std::string root_;
  bool benchmark_;
  Values values_;
};

Values benchmark_layer(const std::vector<Field>& fields, const Json& layer, const std::string& root) {
  return Flattener(fields, root, true)(layer);
}

// A value that follows from others: of x times / divided_by, its "square" root, x scaled_by, to so many decimals, +
// plus
// - minus, taken in doubles in this order, then rounded "up" or "down". Every operand is a key or a number; all but
// "of" may be left out.
struct Derivation {
  double value = 0;
  bool whole = true;
  std::string keys;  // the keys it follows from, for errors
};

Derivation derive(const std::vector<Field>& fields, const RunConfig& config, const Value& value) {
  Derivation result;
  const auto operand = [&](const Json& named) {
    Json found = named;
    if (named.is_string()) {
      const auto key = named.get<std::string>();
      const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == key; });
      if (field == fields.end()) throw ConfigError(value.path, fmt::format("{} is no key to derive from", key));
      found = field->get(config);
      result.keys += (result.keys.empty() ? "" : " and ") + key;
    }
    if (!found.is_number()) throw ConfigError(value.path, fmt::format("{} is no number to derive from", shown(named)));
    result.whole = result.whole && found.is_number_integer();
    return found.get<double>();
  };
  for (const auto& [name, content] : value.json.items()) {
    static constexpr std::string_view kParts[] = {"of",    "times",   "divided_by", "root",    "plus",
                                                  "minus", "rounded", "scaled_by",  "decimals"};
    if (std::find(std::begin(kParts), std::end(kParts), name) == std::end(kParts))
      throw ConfigError(value.path, fmt::format("{} is no part of a derived value", name));
  }
  result.value = operand(member(value.json, "of", value.path));
  if (value.json.contains("times")) result.value *= operand(value.json["times"]);
  if (value.json.contains("divided_by")) {
    result.value /= operand(value.json["divided_by"]);
    result.whole = false;
  }
  if (value.json.contains("root")) {
    if (value.json["root"] != "square") throw ConfigError(value.path, "the only root there is is square");
    result.value = std::sqrt(result.value);
    result.whole = false;
  }
  if (value.json.contains("scaled_by")) result.value *= operand(value.json["scaled_by"]);
  if (value.json.contains("decimals")) {
    const double unit = std::pow(10.0, operand(value.json["decimals"]));
    result.value = std::round(result.value * unit) / unit;
  }
  if (value.json.contains("plus")) result.value += operand(value.json["plus"]);
  if (value.json.contains("minus")) result.value -= operand(value.json["minus"]);
  if (!value.json.contains("rounded")) return result;
  const bool up = value.json["rounded"] == "up";
  if (!up && value.json["rounded"] != "down")
    throw ConfigError(value.path, fmt::format("rounded {} is neither up nor down", shown(value.json["rounded"])));
  result.value = up ? std::ceil(result.value) : std::floor(result.value);
  result.whole = true;
  return result;
}

}  // namespace

const Json& member(const Json& object, const std::string& key, const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end()) throw ConfigError(path + "/" + key, "is missing from the workload's benchmark.json");
  return *found;
}

// A text that is no JSON stays one: the field's own check says what is wrong with it.
static Json json_or_text(const std::string& text) {
  try {
    return parse_json(text, "");
  } catch (const UserError&) {
    return text;
  }
}

Values asked_values(const std::vector<Field>& fields, const Json& user, const Overrides& overrides) {
  Values asked = Flattener(fields, "", false)(user);
  Values set;
  for (const auto& [key, text] : overrides) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == key; });
    const bool as_text = field == fields.end() || field->is_text;
    const Json value = as_text ? Json(text) : json_or_text(text);
    const Values one = Flattener(fields, "", false)(Json{{key, value}});
    if (set.contains(key)) throw ConfigError(path_of(key), "this key is overridden twice; keep one");
    set.insert(one.begin(), one.end());
  }
  return laid_over(std::move(asked), set);
}

Values default_values(const std::vector<Field>& fields, const Json& benchmark, const Names& names) {
  Values values;
  for (const Field& field : fields) {
    if (field.otherwise) values[field.key] = {*field.otherwise, path_of(field.key), false};
  }
  const Json& variants = member(benchmark, "variants", "");
  const Json& forms = member(benchmark, "forms", "");
  if (names.variant != kCustom) {
    const Json& rules = member(benchmark, "mlperf", "");
    const Json evaluation{{"evaluation", member(rules, "evaluation", "/mlperf")}};
    values = laid_over(std::move(values), benchmark_layer(fields, evaluation, "/mlperf"));
    values = laid_over(std::move(values), benchmark_layer(fields, member(benchmark, "defaults", ""), "/defaults"));
    Json variant = member(variants, names.variant, "/variants");
    variant.erase("forms");
    variant.erase("description");
    values = laid_over(std::move(values), benchmark_layer(fields, variant, "/variants/" + names.variant));
  }
  if (names.form != kCustom) {
    Json form = member(forms, names.form, "/forms");
    form.erase("description");
    values = laid_over(std::move(values), benchmark_layer(fields, form, "/forms/" + names.form));
    if (names.variant != kCustom) {
      const std::string path = "/variants/" + names.variant;
      const Json& own = member(member(variants, names.variant, "/variants"), "forms", path);
      const Json& layer = member(own, names.form, path + "/forms");
      values = laid_over(std::move(values), benchmark_layer(fields, layer, path + "/forms/" + names.form));
    }
  }
  return values;
}

Values laid_over(Values under, const Values& over) {
  for (const auto& [key, value] : over) under[key] = value;
  return under;
}

RunConfig build(const std::vector<Field>& fields, const Values& values, Unfit unfit) {
  RunConfig config;
  const auto is_derived = [](const Value& value) { return value.benchmark && value.json.is_object(); };
  for (const Field& field : fields) {
    const auto found = values.find(field.key);
    if (found != values.end() && !is_derived(found->second)) field.set(config, found->second.json, found->second.path);
  }
  for (const Field& field : fields) {
    const auto found = values.find(field.key);
    if (found == values.end() || !is_derived(found->second)) continue;
    const Derivation derived = derive(fields, config, found->second);
    const std::string path = path_of(field.key);
    try {
      field.set(config, derived.whole ? Json(static_cast<int64_t>(derived.value)) : Json(derived.value), path);
    } catch (const ConfigError& error) {
      if (unfit == Unfit::leave_out) continue;
      throw ConfigError(path,
                        fmt::format("{} (it follows from {}; change those, or set it)",
                                    std::string(error.what()).substr(path.size() + std::strlen(": ")), derived.keys));
    }
  }
  return config;
}

double derived_number(const std::vector<Field>& fields, const RunConfig& config, const Value& value) {
  return derive(fields, config, value).value;
}

std::vector<std::string> form_keys(const std::vector<Field>& fields, const Json& benchmark, const Names& names) {
  Values values;
  const auto add = [&](Json forms) {
    for (Json& form : forms) {
      form.erase("description");
      values = laid_over(std::move(values), benchmark_layer(fields, form, "/forms"));
    }
  };
  add(member(benchmark, "forms", ""));
  if (names.variant != kCustom) add(benchmark["variants"][names.variant]["forms"]);
  std::vector<std::string> keys;
  for (const auto& [key, value] : values) keys.push_back(key);
  return keys;
}

}  // namespace timetrial::config
