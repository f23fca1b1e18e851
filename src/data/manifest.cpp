// Writes and reads manifests.
// SPDX-License-Identifier: Apache-2.0
#include "data/manifest.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial {
namespace {

using Ordered = nlohmann::ordered_json;
constexpr const char* kFormat = "timetrial-data";

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

Ordered limit(int64_t value) { return value == INT64_MAX ? Ordered() : Ordered(value); }

Ordered settings_json(const PrepareSpec& spec) {
  const DocumentSpec& d = spec.documents;
  return {
      {"format", name_of(d.format)},
      {"documents", name_of(d.separator)},
      {"text_field", d.text_field},
      {"skip_documents", d.skip_documents},
      {"keep_every", d.keep_every},
      {"min_document_bytes", d.shortest_bytes},
      {"max_document_bytes", d.longest_bytes},
      {"max_documents", limit(d.most_documents)},
      {"limit_bytes", limit(d.most_bytes)},
      {"validation_fraction", spec.validation_documents > 0 ? Ordered() : Ordered(spec.validation_fraction)},
      {"validation_documents", spec.validation_documents > 0 ? Ordered(spec.validation_documents) : Ordered()},
  };
}

Ordered split_json(const PreparedSplit& split) {
  if (split.prefix.empty()) return nullptr;
  return {{"prefix", file_name(split.prefix)},
          {"documents", split.documents},
          {"tokens", split.tokens},
          {"text_bytes", split.text_bytes},
          {"bin_xxh3_128", split.bin_hash}};
}

Ordered tokenizer_json(const PrepareSpec& spec, const PrepareReport& report, const Tokenizer& tokenizer) {
  Ordered json = {{"kind", tokenizer.kind()}, {"vocabulary", report.vocabulary}};
  json["end_of_document"] = spec.append_end_of_document ? Ordered(*tokenizer.end_of_document()) : Ordered();
  if (spec.tokenizer == TokenizerChoice::bytes) return json;
  json["model"] = file_name(spec.output + ".model");
  json["model_xxh3_128"] = hash_text(tokenizer.model());
  if (spec.tokenizer == TokenizerChoice::model) {
    json["given"] = spec.model_file;
  } else {
    json["trained"] = {{"type", name_of(spec.tokenizer)}, {"sample_bytes", report.sample_bytes}};
  }
  return json;
}

}  // namespace

nlohmann::ordered_json documents_json(const PrepareReport& report) {
  const DocumentCounts& c = report.documents;
  return {{"read", c.read},
          {"skipped", c.skipped},
          {"empty", c.empty},
          {"thinned", c.thinned},
          {"too_short", c.short_ones},
          {"taken", c.taken},
          {"taken_bytes", c.taken_bytes},
          {"stopped_by_limit", c.limited},
          {"not_utf8", report.invalid_documents},
          {"without_tokens", report.tokenless}};
}

std::string manifest_text(const PrepareSpec& spec, const PrepareReport& report, const std::vector<SourceFile>& sources,
                          const Tokenizer& tokenizer) {
  Ordered inputs = Ordered::array();
  for (const SourceFile& file : sources) {
    inputs.push_back({{"file", file.path},
                      {"bytes", file.bytes},
                      {"bytes_read", file.bytes_read},
                      {"bytes_read_xxh3_128", file.hash}});
  }
  const Ordered json = {
      {"format", kFormat},
      {"version", 1},
      {"inputs", inputs},
      {"documents", documents_json(report)},
      {"tokenizer", tokenizer_json(spec, report, tokenizer)},
      {"unknown_tokens", report.unknown_tokens},
      {"token_type", name_of(report.token_type)},
      {"settings", settings_json(spec)},
      {"train", split_json(report.train)},
      {"validation", split_json(report.validation)},
  };
  // A file name may be any bytes; JSON takes UTF-8 alone.
  return json.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

std::optional<Manifest> find_manifest(const std::string& split_prefix) {
  for (const std::string split : {"train", "validation"}) {
    if (!split_prefix.ends_with("-" + split)) continue;
    const std::string prefix = split_prefix.substr(0, split_prefix.size() - split.size() - 1);
    const std::string path = prefix + ".json";
    if (!std::filesystem::exists(path)) return std::nullopt;
    const Json json = read_json_file(path);
    try {
      if (json.at("format") != kFormat || json.at("version") != 1) {
        throw DataError(path,
                        "is no manifest of `timetrial data prepare` (format timetrial-data, version 1); move it away");
      }
      const Json& tokenizer = json.at("tokenizer");
      const bool bytes = tokenizer.at("kind") == "bytes";
      const auto folder = std::filesystem::path(path).parent_path();
      return Manifest{.path = path,
                      .vocabulary = tokenizer.at("vocabulary").get<int64_t>(),
                      .bytes = bytes,
                      .end_of_document = !tokenizer.at("end_of_document").is_null(),
                      .model_path = bytes ? "" : (folder / tokenizer.at("model").get<std::string>()).string(),
                      .bin_hash = json.at(split).is_null() ? "" : json.at(split).at("bin_xxh3_128").get<std::string>()};
    } catch (const nlohmann::json::exception& error) {
      throw DataError(path,
                      fmt::format("is a damaged manifest ({}); prepare the data again, or move it away", error.what()));
    }
  }
  return std::nullopt;
}

}  // namespace timetrial
