// From a config file, a benchmark and overrides to a checked RunConfig that bears an honest name.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/run_config.h"

#include "benchmark_rules.h"
#include "claims.h"
#include "scaled_rules.h"
#include "timetrial/base/error.h"

namespace timetrial {

namespace {

using config::build;
using config::Field;
using config::kCustom;
using config::Names;
using config::path_of;
using config::Values;

void require_all(const std::vector<Field>& fields, const Values& values, const Names& names) {
  for (const Field& field : fields) {
    if (values.contains(field.key)) continue;
    const bool custom = names.variant == kCustom || names.form == kCustom;
    throw ConfigError(path_of(field.key),
                      fmt::format("is missing{}; set {} ({})", custom ? ", and a custom run has no default for it" : "",
                                  field.key, field.meaning));
  }
}

// A run bears its variant's and form's name only while all that these fix is as they fix it. A form answers for the
// model switches that forms set, a variant for the rest; in the open division for what its rules limit, so that an open
// run of the full variant may train as it likes.
Names honest_names(const std::vector<Field>& fields, const RunConfig& run, const Json& benchmark, const Names& claimed,
                   const Values& free) {
  const Values named = config::laid_over(config::default_values(fields, benchmark, claimed), free);
  const RunConfig plain = build(fields, named, config::Unfit::leave_out);
  const std::vector<std::string> of_forms = config::form_keys(fields, benchmark, claimed);
  Names names = claimed;
  for (const Field& field : fields) {
    const bool of_form = field.key.starts_with("model.") && config::contains(of_forms, field.key);
    if (!named.contains(field.key) || field.get(run) == field.get(plain)) continue;
    if (of_form)
      names.form = kCustom;
    else if (config::is_fixed(field.key, benchmark, run))
      names.variant = kCustom;
  }
  return names;
}

}  // namespace

std::pair<std::string, std::string> split_override(const std::string& text) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    throw UserError(fmt::format("--set {}: must be KEY=VALUE, e.g. train.seed=7", config::shown(text)));
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

std::string workload_of(const Json& user, const Overrides& overrides) {
  return config::read_workload(config::asked_values(config::make_fields(), user, overrides));
}

RunConfig parse_run_config(const Json& user, const Json& benchmark, const std::string& name,
                           const Overrides& overrides) {
  const std::vector<Field> fields = config::make_fields();
  Values asked = config::asked_values(fields, user, overrides);
  const Names names = config::read_names(asked, benchmark);
  const Values defaults = config::default_values(fields, benchmark, names);
  const Values values = config::laid_over(defaults, asked);
  require_all(fields, values, names);
  RunConfig run = build(fields, values);
  run.name = name;
  validate(run);

  // Until nothing changes: with one name gone, the other is held against fewer defaults. A config that is printed and
  // parsed again then bears the same names.
  const Values free = config::free_values(fields, run, benchmark, names);
  for (Names claimed = names;;) {
    const Names honest = honest_names(fields, run, benchmark, claimed, free);
    run.variant = honest.variant;
    run.form = honest.form;
    if (honest == claimed) break;
    claimed = honest;
  }
  run.scaled_rules = config::scaled_rules(fields, benchmark, run, free);
  return run;
}

}  // namespace timetrial
