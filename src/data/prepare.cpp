// Reads, samples, trains, encodes, writes: the stages of preparing token files.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/data/prepare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <thread>

#include "data/document_stream.h"
#include "data/encode.h"
#include "data/file.h"
#include "data/held_out.h"
#include "data/manifest.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

using Phase = PrepareProgress::Phase;
constexpr int64_t kBlockBytes = 8 << 20;     // text encoded at once
constexpr int64_t kFractionUnits = 1000000;  // validation_fraction counts in millionths

class Preparation {
 public:
  Preparation(const PrepareSpec& spec, const std::function<void(const PrepareProgress&)>& progress)
      : spec_(spec), progress_(progress) {}

  PrepareReport run();

 private:
  void check_spec() const;
  void scan();
  void make_tokenizer();
  void encode();
  void write(std::vector<EncodedDocument>& block);
  void refuse_empty() const;
  void finish();
  void tell(Phase phase, const DocumentStream& stream) const {
    if (progress_) progress_({phase, stream.fraction(), stream.counts().taken_bytes});
  }

  const PrepareSpec& spec_;
  const std::function<void(const PrepareProgress&)>& progress_;
  PrepareReport report_;
  HeldOut held_out_;
  std::optional<TextSample> sample_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<IndexedTokensWriter> train_, validation_;
  std::vector<SourceFile> sources_;
  int64_t next_document_ = 0;
};

void Preparation::check_spec() const {
  const auto refuse = [](const std::string& why) { throw UserError(why); };
  const DocumentSpec& d = spec_.documents;
  if (d.inputs.empty()) refuse("no input file; name at least one text, .gz or .jsonl file");
  if (spec_.output.empty()) refuse("no output prefix; give one with --output");
  if (!(spec_.validation_fraction >= 0 && spec_.validation_fraction < 1)) {
    refuse(fmt::format("the validation fraction is {}; it must be at least 0 and below 1", spec_.validation_fraction));
  }
  const struct {
    const char* name;
    int64_t value, least;
  } numbers[] = {{"keep-every", d.keep_every, 1},
                 {"skip-documents", d.skip_documents, 0},
                 {"max-documents", d.most_documents, 1},
                 {"limit-bytes", d.most_bytes, 1},
                 {"max-document-bytes", d.longest_bytes, 1},
                 {"validation-documents", spec_.validation_documents, 0},
                 {"train-bytes", spec_.sample_bytes, 1},
                 {"threads", spec_.threads, 0}};
  for (const auto& number : numbers) {
    if (number.value < number.least) {
      refuse(fmt::format("--{} is {}; it must be at least {}", number.name, number.value, number.least));
    }
  }
  for (const char* end : {"-train.bin", "-train.idx", "-validation.bin", "-validation.idx", ".model"}) {
    if (std::filesystem::exists(spec_.output + end)) {
      throw DataError(spec_.output + end, "exists already; remove it or choose another output prefix");
    }
  }
}

void Preparation::refuse_empty() const {
  const DocumentCounts& c = report_.documents;
  if (c.taken > 0) return;
  throw UserError(
      fmt::format("no document was taken: {} read, {} skipped, {} empty, {} thinned out, {} too short{}; change the "
                  "selection or the way documents are separated",
                  c.read, c.skipped, c.empty, c.thinned, c.short_ones,
                  c.limited ? ", and the next one exceeds the byte limit" : ""));
}

void Preparation::scan() {
  const bool trains = spec_.tokenizer == TokenizerChoice::bpe || spec_.tokenizer == TokenizerChoice::unigram;
  held_out_ = {std::llround(spec_.validation_fraction * kFractionUnits), kFractionUnits};
  if (!trains && spec_.validation_documents == 0) return;
  const double begin = monotonic_seconds();
  sample_.emplace(spec_.sample_bytes);
  DocumentStream stream(spec_.documents);
  std::string text;
  for (int64_t told = 0; stream.next(text);) {
    if (trains) sample_->add(stream.counts().taken - 1, text);
    if (stream.counts().taken_bytes - told < kBlockBytes) continue;
    told = stream.counts().taken_bytes;
    tell(Phase::scan, stream);
  }
  report_.documents = stream.counts();
  refuse_empty();
  if (spec_.validation_documents > 0) held_out_ = {spec_.validation_documents, stream.counts().taken};
  if (held_out_.held >= held_out_.total) {
    throw UserError(fmt::format("{} validation documents of {} leave none for training; hold out fewer", held_out_.held,
                                stream.counts().taken));
  }
  report_.scan_seconds = monotonic_seconds() - begin;
}

void Preparation::make_tokenizer() {
  const double begin = monotonic_seconds();
  switch (spec_.tokenizer) {
    case TokenizerChoice::bytes:
      tokenizer_ = make_byte_tokenizer(spec_.append_end_of_document);
      break;
    case TokenizerChoice::model:
      tokenizer_ = load_sentencepiece_tokenizer(spec_.model_file);
      break;
    case TokenizerChoice::bpe:
    case TokenizerChoice::unigram: {
      if (progress_) progress_({Phase::train, 0, report_.documents.taken_bytes});
      SentencePieceTraining training{
          .type = spec_.tokenizer == TokenizerChoice::bpe ? SentencePieceType::bpe : SentencePieceType::unigram,
          .vocabulary = spec_.vocabulary,
          .texts = sample_->take(held_out_)};
      for (const std::string& text : training.texts) report_.sample_bytes += static_cast<int64_t>(text.size());
      tokenizer_ = make_sentencepiece_tokenizer(train_sentencepiece(training), "the trained tokenizer");
      report_.train_seconds = monotonic_seconds() - begin;
      break;
    }
  }
  if (spec_.append_end_of_document && !tokenizer_->end_of_document()) {
    throw DataError(spec_.model_file, "has no end-of-document id; leave out --append-eod or give another model");
  }
  report_.vocabulary = tokenizer_->vocabulary();
  report_.token_type = token_type_for(report_.vocabulary);
}

void Preparation::write(std::vector<EncodedDocument>& block) {
  for (EncodedDocument& document : block) {
    const bool held_out = held_out_(next_document_++);
    const bool text = spec_.tokenizer != TokenizerChoice::bytes;
    if (text && !document.valid) ++report_.invalid_documents;
    report_.unknown_tokens += document.unknown;
    if (document.ids.empty()) {
      ++report_.tokenless;
      continue;
    }
    if (spec_.append_end_of_document) document.ids.push_back(*tokenizer_->end_of_document());
    PreparedSplit& split = held_out ? report_.validation : report_.train;
    (held_out ? *validation_ : *train_).add(document.ids);
    split.text_bytes += static_cast<int64_t>(document.text.size());
  }
  block.clear();
}

void Preparation::encode() {
  const double begin = monotonic_seconds();
  report_.train.prefix = spec_.output + "-train";
  train_ = std::make_unique<IndexedTokensWriter>(report_.train.prefix, report_.token_type);
  if (held_out_.held > 0) {
    report_.validation.prefix = spec_.output + "-validation";
    validation_ = std::make_unique<IndexedTokensWriter>(report_.validation.prefix, report_.token_type);
  }
  const int machine = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = spec_.threads > 0 ? spec_.threads : machine;
  DocumentStream stream(spec_.documents);
  std::vector<EncodedDocument> block;
  int64_t block_begin = 0;
  for (std::string text; stream.next(text);) {
    block.emplace_back().text = std::move(text);
    if (stream.counts().taken_bytes - block_begin < kBlockBytes) continue;
    encode_documents(*tokenizer_, threads, block);
    write(block);
    block_begin = stream.counts().taken_bytes;
    tell(Phase::encode, stream);
  }
  encode_documents(*tokenizer_, threads, block);
  write(block);
  if (report_.documents.read > 0 && report_.documents.read != stream.counts().read) {
    throw UserError(
        fmt::format("the input changed while it was prepared: {} documents on the first reading, {} on the second; "
                    "wait until it is complete and start again",
                    report_.documents.read, stream.counts().read));
  }
  report_.documents = stream.counts();
  refuse_empty();
  sources_ = stream.sources();
  report_.encode_seconds = monotonic_seconds() - begin;
}

void Preparation::finish() {
  const auto settle = [](PreparedSplit& split, IndexedTokensWriter& writer) {
    writer.close();
    split.documents = writer.documents();
    split.tokens = writer.tokens();
    split.bin_hash = writer.bin_hash();
    if (split.documents > 0) return;
    throw UserError(
        fmt::format("{} would have no documents; hold out {}", split.prefix,
                    split.prefix.ends_with("-train") ? "fewer" : "more, or nothing (--validation-fraction 0)"));
  };
  settle(report_.train, *train_);
  if (validation_) settle(report_.validation, *validation_);
}

PrepareReport Preparation::run() {
  check_spec();
  const auto folder = std::filesystem::path(spec_.output).parent_path();
  if (!folder.empty()) {
    std::error_code why;
    std::filesystem::create_directories(folder, why);
    if (why)
      throw DataError(folder.string(),
                      fmt::format("cannot be created ({}); choose another output prefix", why.message()));
  }
  OutputFile manifest(spec_.output + ".json");  // first, because its lock keeps a second preparation out
  scan();
  make_tokenizer();
  encode();
  finish();
  manifest.append(manifest_text(spec_, report_, sources_, *tokenizer_));
  manifest.close();
  if (!tokenizer_->model().empty()) {
    OutputFile model(spec_.output + ".model");
    model.append(tokenizer_->model());
    model.publish();
  }
  train_->finish();
  if (validation_) validation_->finish();
  manifest.publish();
  return report_;
}

}  // namespace

std::string_view name_of(TokenizerChoice choice) {
  switch (choice) {
    case TokenizerChoice::bytes:
      return "bytes";
    case TokenizerChoice::bpe:
      return "bpe";
    case TokenizerChoice::unigram:
      return "unigram";
    case TokenizerChoice::model:
      return "model";
  }
  throw Error(fmt::format("unknown tokenizer {}", static_cast<int>(choice)));
}

PrepareReport prepare_data(const PrepareSpec& spec, const std::function<void(const PrepareProgress&)>& progress) {
  return Preparation(spec, progress).run();
}

}  // namespace timetrial
