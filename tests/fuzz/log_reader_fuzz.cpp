// Logs: the input is a log file. It is read and judged by both rulesets, however it is cut into pieces.
// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <tuple>
#include <vector>

#include "fuzz/fuzz.h"
#include "mllog/json_text.h"
#include "mllog/line_cutter.h"
#include "mllog/python_json.h"
#include "mllog/python_value.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

using namespace timetrial;
using namespace timetrial::mllog;

namespace {

using Cut = std::vector<std::tuple<int64_t, std::string, bool>>;

Cut cut(std::string_view text, size_t piece) {
  Cut out;
  LineCutter cutter;
  const auto record = [&](int64_t line, std::string_view rest, bool complete) {
    out.emplace_back(line, rest, complete);
  };
  const auto too_long = [](int64_t) {};
  for (size_t at = 0; at < text.size(); at += piece) cutter.add(text.substr(at, piece), record, too_long);
  cutter.end(record, too_long);
  return out;
}

// What is written of a value must read back as the same value.
void write_and_read(const Json& value) {
  const std::string text = "{\"value\": " + json_text(value) + "}";
  RecordText fields;
  TIMETRIAL_CHECK(scan_record(text, fields) == ScanResult::object, "cannot be read back: {}", text);
  // A surrogate without its pair is written as U+FFFD.
  if (text.find("\\ufffd") != std::string::npos) return;
  TIMETRIAL_CHECK(python_equal(parse_scanned(fields.value), value), "reads back differently: {}", text);
}

void judge(const std::string& path) {
  static const Checker checkers[] = {Checker({.ruleset = "5.1.0", .scaled = std::nullopt}),
                                     Checker({.ruleset = "6.0.0", .scaled = std::nullopt}),
                                     Checker({.ruleset = "auto", .scaled = std::nullopt})};
  for (const Checker& checker : checkers) {
    const CheckReport report = checker.check(path);
    TIMETRIAL_CHECK(report.verdict_sentence().find('\n') == std::string::npos, "a verdict of several lines");
    TIMETRIAL_CHECK(!report.passed() || report.official != OfficialOutcome::dies, "passes where the official one dies");
    report.to_json().dump(-1, ' ', true, Json::error_handler_t::replace);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Cut whole = cut(text, size + 1);
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{64}})
    TIMETRIAL_CHECK(cut(text, piece) == whole, "pieces of {} give other records", piece);
  const std::string path = folder.write("result_0.txt", text);
  fuzz::one_line_errors_only([&] {
    for (const Record& record : read_log(path).records) {
      write_and_read(record.value);
      write_and_read(record.metadata);
    }
    judge(path);
  });
  return 0;
}
