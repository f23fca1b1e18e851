// Line by line, word by word: only lines that hold one of the words are parsed.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/results/convergence_reading.h"

#include <fmt/core.h>
#include <string.h>

#include <cmath>
#include <cstdlib>
#include <set>

#include "results/file_text.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::results {

namespace {

// Benchmarks whose convergence is counted in samples, whatever the ruleset; all others count epochs (digest 3.1).
const std::set<std::string, std::less<>>& counted_in_samples() {
  static const std::set<std::string, std::less<>> kNames = {"llama2_70b_lora", "flux1",       "llama31_405b",
                                                            "llama31_8b",      "gpt_oss_20b", "deepseekv3_671b"};
  return kNames;
}

bool holds(std::string_view text, std::string_view word) {
  return ::memmem(text.data(), text.size(), word.data(), word.size()) != nullptr;
}

// Python reads NaN and the infinities as numbers. None of them is of use here, so they become null. Bytes that are no
// ASCII are letters of Latin-1 to it; which letters does not matter either.
std::string plain(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (inside && c == '\\' && at + 1 < text.size()) {
      out += c;
      out += text[++at];
      continue;
    }
    if (c == '"') inside = !inside;
    if (!inside && (c == 'N' || c == 'I' || c == '-')) {
      bool replaced = false;
      for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
        if (text.substr(at, word.size()) != word) continue;
        out += "null";
        at += word.size() - 1;
        replaced = true;
        break;
      }
      if (replaced) continue;
    }
    out += static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  return out;
}

struct Trouble {
  std::string what;
};

class Reader {
 public:
  void record(std::string_view text) {
    const bool batch = holds(text, "global_batch_size"), benchmark = holds(text, "submission_benchmark");
    const bool evaluation = holds(text, "eval_accuracy") || holds(text, "eval_error");
    const bool stop = holds(text, "run_stop");
    if (!batch && !benchmark && !evaluation && !stop) return;
    const Json object = parse(text);
    if (batch) result.batch = member(object, "value");
    if (benchmark) result.benchmark = present(member(object, "value"));
    if (evaluation) evaluate(object);
    if (stop && member(object, "key") == "run_stop") run_stop(object);
  }

  ConvergenceReading result;

 private:
  static Json parse(std::string_view text) {
    // nlohmann's parser takes a NUL for the end of the text; JSON has no place for one.
    Json object = text.find('\0') == std::string_view::npos ? Json::parse(plain(text), nullptr, false)
                                                            : Json(Json::value_t::discarded);
    if (object.is_discarded()) throw Trouble{"the record is not valid JSON"};
    return object;
  }

  // To the official reader a benchmark of null is one not seen yet.
  static std::optional<Json> present(const Json& value) {
    return value.is_null() ? std::nullopt : std::optional<Json>(value);
  }

  static const Json& member(const Json& object, const char* name) {
    if (!object.is_object() || !object.contains(name)) throw Trouble{fmt::format("the record lacks \"{}\"", name)};
    return object.at(name);
  }

  void evaluate(const Json& object) {
    const bool samples = result.benchmark && result.benchmark->is_string() &&
                         counted_in_samples().contains(result.benchmark->get_ref<const std::string&>());
    if (result.benchmark && result.benchmark->is_structured()) throw Trouble{"submission_benchmark is no text"};
    const Json& metadata = member(object, "metadata");
    const char* name = samples ? "samples_count" : "epoch_num";
    if (!metadata.is_object() || !metadata.contains(name))
      throw Trouble{fmt::format("the evaluation lacks metadata.{}{}", name,
                                result.benchmark ? "" : ", and no submission_benchmark stands before it")};
    if (samples) {
      member(object, "value");
      reached_ = metadata.at(name);
    } else {
      reached_ = rounded(metadata.at(name));
    }
  }

  // Python's round(x, 3): from the exact binary value, ties to even, as printing does it.
  static Json rounded(const Json& value) {
    if (!value.is_number() && !value.is_boolean()) throw Trouble{"epoch_num is no number"};
    if (!value.is_number_float()) return value;
    return std::strtod(fmt::format("{:.3f}", value.get<double>()).c_str(), nullptr);
  }

  void run_stop(const Json& object) {
    const Json& metadata = member(object, "metadata");
    if (!metadata.is_object() || !metadata.contains("status")) throw Trouble{"run_stop lacks metadata.status"};
    result.converged = metadata.at("status") == "success";
    result.reached = kNever;
    if (!result.converged) return;
    if (!reached_) throw Trouble{"run_stop says success, and no evaluation stands before it"};
    if (reached_->is_boolean()) reached_ = reached_->get<bool>() ? 1.0 : 0.0;
    if (!reached_->is_number() || !std::isfinite(reached_->get<double>()))
      throw Trouble{fmt::format("the samples or epochs at the last evaluation are no number: {}",
                                reached_->dump(-1, ' ', true, Json::error_handler_t::replace))};
    result.reached = reached_->get<double>();
  }

  std::optional<Json> reached_;
};

std::string_view strip(std::string_view text) {
  // As Python's str.strip() on Latin-1.
  constexpr std::string_view kBlank = " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0";
  const size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string_view::npos ? std::string_view()
                                         : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

ConvergenceReading read_convergence(std::string_view content) {
  Reader reader;
  int64_t number = 1;
  while (!content.empty()) {
    const size_t feed = content.find('\n');
    std::string_view lines = content.substr(0, feed);
    // A carriage return ends a line too, and is not counted as one.
    while (!lines.empty()) {
      const size_t end = lines.find('\r');
      const std::string_view line = lines.substr(0, end);
      const size_t token = line.rfind(mllog::kToken);
      if (token != std::string_view::npos) {
        // A token with nothing behind it loses its blank and is none.
        const std::string_view text = strip(line.substr(token + mllog::kToken.size()));
        try {
          if (!text.empty()) reader.record(text);
        } catch (const Trouble& trouble) {
          reader.result.trouble = trouble.what;
          reader.result.trouble_line = number;
          return reader.result;
        }
      }
      if (end == std::string_view::npos) break;
      lines.remove_prefix(end + 1);
    }
    if (feed == std::string_view::npos) break;
    content.remove_prefix(feed + 1);
    ++number;
  }
  return reader.result;
}

ConvergenceReading read_convergence_file(const std::string& path) { return read_convergence(FileText(path).view()); }

}  // namespace timetrial::results
