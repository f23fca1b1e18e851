// Which rows, in which order, and how many days old.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "timetrial/base/error.h"
#include "timetrial/results/records.h"

namespace timetrial::results {

namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool equal(const std::string& wanted, const std::string& own) { return wanted.empty() || lower(wanted) == lower(own); }

// As people write it: 5.1 is v5.1.
std::string round_name(const std::string& text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0 ? "v" + text : text;
}

void refuse_unknown(const char* option, const std::string& wanted, const std::set<std::string>& there) {
  if (std::any_of(there.begin(), there.end(), [&](const std::string& name) { return equal(wanted, name); })) return;
  throw UserError(fmt::format("{} {}: there is none; there are {}", option, wanted, fmt::join(there, ", ")));
}

bool passes(const ResultRecord& record, const RecordFilter& filter) {
  const bool any_count = filter.least_accelerators <= 0 && filter.most_accelerators >= 1e18;
  const double count = record.accelerators.value_or(-1);
  return equal(filter.benchmark, record.benchmark) && equal(filter.organization, record.organization) &&
         equal(round_name(filter.round), record.round) && equal(filter.division, record.division) &&
         lower(record.accelerator).find(lower(filter.accelerator)) != std::string::npos &&
         (any_count || (count >= filter.least_accelerators && count <= filter.most_accelerators));
}

double or_last(const std::optional<double>& value) { return value.value_or(std::numeric_limits<double>::infinity()); }

bool before(const ResultRecord& a, const ResultRecord& b, RecordOrder order) {
  switch (order) {
    case RecordOrder::minutes:
      return or_last(a.minutes) < or_last(b.minutes);
    case RecordOrder::accelerators:
      return or_last(a.accelerators) < or_last(b.accelerators);
    case RecordOrder::organization:
      return lower(a.organization) < lower(b.organization);
    case RecordOrder::round:
      return a.date > b.date;  // youngest first
    case RecordOrder::step:
      return or_last(a.step_s) < or_last(b.step_s);
  }
  return false;
}

std::optional<double> whole(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return static_cast<double>(number);
}

std::optional<std::chrono::sys_days> day_of(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = whole(text.substr(0, 4)), month = whole(text.substr(5, 2)), day = whole(text.substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

}  // namespace

void set_count(RecordFilter& filter, const std::string& text) {
  const size_t dots = text.find("..");
  const std::string low = text.substr(0, dots), high = dots == std::string::npos ? low : text.substr(dots + 2);
  const std::optional<double> least = low.empty() && dots != std::string::npos ? 0 : whole(low);
  const std::optional<double> most = high.empty() && dots != std::string::npos ? 1e18 : whole(high);
  if (!least || !most || *least > *most || text == "..")
    throw UserError(fmt::format("'{}' is no count of accelerators; write 8, 8..72, 72.. or ..72", text));
  filter.least_accelerators = *least;
  filter.most_accelerators = *most;
}

void check_names(const RecordFilter& filter, const std::vector<ResultRecord>& records) {
  std::set<std::string> benchmarks, organizations, rounds, divisions{"closed", "open"};
  for (const ResultRecord& record : records) {
    benchmarks.insert(record.benchmark);
    organizations.insert(record.organization);
    rounds.insert(record.round);
    divisions.insert(record.division);
  }
  refuse_unknown("--workload", filter.benchmark, benchmarks);
  refuse_unknown("--submitter", filter.organization, organizations);
  refuse_unknown("--round", round_name(filter.round), rounds);
  refuse_unknown("--division", filter.division, divisions);
}

RecordOrder order_of(const std::string& text) {
  if (text == "minutes") return RecordOrder::minutes;
  if (text == "count") return RecordOrder::accelerators;
  if (text == "submitter") return RecordOrder::organization;
  if (text == "round") return RecordOrder::round;
  if (text == "step") return RecordOrder::step;
  throw UserError(fmt::format("cannot sort by '{}'; there are minutes, count, submitter, round and step", text));
}

std::vector<ResultRecord> select(const std::vector<ResultRecord>& records, const RecordFilter& filter,
                                 RecordOrder order) {
  std::vector<ResultRecord> selected;
  std::copy_if(records.begin(), records.end(), std::back_inserter(selected),
               [&](const ResultRecord& record) { return passes(record, filter); });
  std::stable_sort(selected.begin(), selected.end(),
                   [&](const ResultRecord& a, const ResultRecord& b) { return before(a, b, order); });
  return selected;
}

std::optional<int64_t> days_between(const std::string& from, const std::string& to) {
  const auto first = day_of(from), last = day_of(to);
  if (!first || !last) return std::nullopt;
  return (*last - *first).count();
}

std::string today() {
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace timetrial::results
