// Reads a token file as a person would want to: counts, lengths, a few documents, and on demand every id.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/inspect.h"

#include <algorithm>

#include "data/hash.h"
#include "data/manifest.h"
#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

constexpr int64_t kSampleTokens = 256;
constexpr int64_t kBlockTokens = 1 << 20;

void measure_lengths(const IndexedTokens& tokens, TokenFileReport& report) {
  const auto begins = tokens.document_begins();
  for (size_t d = 0; d + 1 < begins.size(); ++d) {
    const int64_t length = begins[d + 1] - begins[d];
    report.shortest = d == 0 ? length : std::min(report.shortest, length);
    report.longest = std::max(report.longest, length);
    report.empty_documents += length == 0;
  }
  if (report.documents > 0) report.mean = static_cast<double>(report.tokens) / static_cast<double>(report.documents);
}

std::vector<SampledDocument> sample(const IndexedTokens& tokens, int count, const Tokenizer* tokenizer) {
  std::vector<SampledDocument> samples;
  const int64_t all = std::min<int64_t>(count, tokens.documents());
  for (int64_t i = 0; i < all; ++i) {
    const int64_t document = (2 * i + 1) * tokens.documents() / (2 * all);
    const auto at = tokens.document_begins().subspan(static_cast<size_t>(document), 2);
    SampledDocument one{.document = document, .tokens = at[1] - at[0], .ids = {}, .text = std::nullopt};
    one.ids.resize(static_cast<size_t>(std::min(one.tokens, kSampleTokens)));
    tokens.read(at[0], one.ids);
    if (tokenizer != nullptr) one.text = tokenizer->decode(one.ids);
    samples.push_back(std::move(one));
  }
  return samples;
}

void add_to_hash(StreamHash& hash, TokenType type, std::span<const int32_t> ids) {
  const auto narrow = [&]<class T>(T) {
    const std::vector<T> stored(ids.begin(), ids.end());
    hash.add(stored.data(), stored.size() * sizeof(T));
  };
  switch (type) {
    case TokenType::u8:
      return narrow(uint8_t{});
    case TokenType::u16:
      return narrow(uint16_t{});
    case TokenType::i32:
      return narrow(int32_t{});
  }
}

void verify(const IndexedTokens& tokens, const std::function<void(double)>& progress, TokenFileReport& report) {
  StreamHash hash;
  std::vector<bool> seen(static_cast<size_t>(report.vocabulary), false);
  std::vector<int32_t> block;
  for (int64_t first = 0; first < tokens.tokens(); first += kBlockTokens) {
    block.resize(static_cast<size_t>(std::min(kBlockTokens, tokens.tokens() - first)));
    tokens.read(first, block);
    add_to_hash(hash, tokens.token_type(), block);
    if (first == 0) report.smallest_id = report.largest_id = block[0];
    for (size_t i = 0; i < block.size(); ++i) {
      const int32_t id = block[i];
      report.smallest_id = std::min(report.smallest_id, id);
      report.largest_id = std::max(report.largest_id, id);
      const bool known = report.vocabulary > 0;
      if (id < 0 || (known && id >= report.vocabulary)) {
        const int64_t at = first + static_cast<int64_t>(i);
        throw DataError(
            tokens.bin_path(),
            fmt::format("token id {} at token position {} (document {}) is outside the vocabulary{}; give the "
                        "tokenizer the file was prepared with, or prepare it again",
                        id, at, tokens.document_at(at), known ? fmt::format(" of {} ids", report.vocabulary) : ""));
      }
      if (known) seen[static_cast<size_t>(id)] = true;
    }
    if (progress) progress(static_cast<double>(first) / static_cast<double>(tokens.tokens()));
  }
  report.distinct_ids = std::count(seen.begin(), seen.end(), true);
  report.bin_hash = hash.text();
  report.verified = true;
}

}  // namespace

TokenFileReport inspect_tokens(const InspectSpec& spec, const std::function<void(double)>& progress) {
  TIMETRIAL_CHECK(spec.samples >= 0 && spec.vocabulary >= 0, "{} samples, vocabulary {}", spec.samples,
                  spec.vocabulary);
  const IndexedTokens tokens(spec.prefix);
  TokenFileReport report;
  report.prefix = spec.prefix;
  report.token_type = tokens.token_type();
  report.documents = tokens.documents();
  report.tokens = tokens.tokens();
  measure_lengths(tokens, report);

  const std::optional<Manifest> manifest = find_manifest(spec.prefix);
  std::unique_ptr<Tokenizer> tokenizer;
  if (!spec.model_file.empty()) {
    tokenizer = load_sentencepiece_tokenizer(spec.model_file);
    report.tokenizer = spec.model_file;
  } else if (manifest) {
    tokenizer = manifest->bytes ? make_byte_tokenizer(manifest->end_of_document)
                                : load_sentencepiece_tokenizer(manifest->model_path);
    report.tokenizer = manifest->bytes ? "raw bytes" : manifest->model_path;
  }
  report.vocabulary = spec.vocabulary > 0 ? spec.vocabulary : tokenizer ? tokenizer->vocabulary() : 0;
  if (manifest) report.manifest_hash = manifest->bin_hash;
  if (spec.verify) {
    verify(tokens, progress, report);
    report.hash_matches_manifest = manifest && report.bin_hash == report.manifest_hash;
    if (manifest && !report.hash_matches_manifest) {
      throw DataError(tokens.bin_path(),
                      fmt::format("has hash {}, its manifest {} says {}; the file was changed or damaged, copy or "
                                  "prepare it again",
                                  report.bin_hash, manifest->path, report.manifest_hash));
    }
  }
  report.samples = sample(tokens, spec.samples, tokenizer.get());
  return report;
}

}  // namespace timetrial
