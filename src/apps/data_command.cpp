// Arguments, progress and output of `timetrial data prepare` and `timetrial data inspect`; the work is in the data
// layer. SPDX-License-Identifier: Apache-2.0
#include "apps/data_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"
#include "timetrial/base/json.h"
#include "timetrial/data/inspect.h"
#include "timetrial/data/prepare.h"

namespace timetrial::apps {
namespace {

using Ordered = nlohmann::ordered_json;

// One line that rewrites itself on a terminal; elsewhere a line every ten seconds.
class ProgressLine {
 public:
  void tell(const std::string& text) {
    const double now = monotonic_seconds();
    if (now - last_ < (terminal_ ? 0.1 : 10.0)) return;
    last_ = now;
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", text, terminal_ ? "" : "\n");
    std::fflush(stderr);
    open_ = terminal_;
  }
  ~ProgressLine() {
    if (open_) std::fputs("\r\033[K", stderr);
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool open_ = false;
  double last_ = terminal_ ? 0 : monotonic_seconds();
};

std::string progress_text(const PrepareProgress& progress) {
  const double megabytes = static_cast<double>(progress.text_bytes) / 1e6;
  switch (progress.phase) {
    case PrepareProgress::Phase::scan:
      return fmt::format("reading {:.0f} % ({:.1f} MB of text)", 100 * progress.fraction, megabytes);
    case PrepareProgress::Phase::train:
      return "training the tokenizer";
    case PrepareProgress::Phase::encode:
      return fmt::format("encoding {:.0f} % ({:.1f} MB of text)", 100 * progress.fraction, megabytes);
  }
  throw Error(fmt::format("unknown phase {}", static_cast<int>(progress.phase)));
}

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

// ---- prepare

Ordered to_json(const PreparedSplit& split) {
  if (split.prefix.empty()) return nullptr;
  return {{"prefix", split.prefix},
          {"documents", split.documents},
          {"tokens", split.tokens},
          {"text_bytes", split.text_bytes}};
}

void print_report(const PrepareSpec& spec, const PrepareReport& r) {
  const int64_t tokens = r.train.tokens + r.validation.tokens;
  fmt::print("{}: {} tokens from {:.1f} MB of text ({:.3f} tokens per byte), vocabulary {}, {} in .bin\n", spec.output,
             grouped(tokens), static_cast<double>(r.documents.taken_bytes) / 1e6,
             static_cast<double>(tokens) / static_cast<double>(r.documents.taken_bytes), grouped(r.vocabulary),
             name_of(r.token_type));
  for (const PreparedSplit* split : {&r.train, &r.validation}) {
    if (split->prefix.empty()) continue;
    fmt::print("  {:<40} {:>12} documents {:>15} tokens\n", split->prefix, grouped(split->documents),
               grouped(split->tokens));
  }
  const DocumentCounts& c = r.documents;
  fmt::print("  documents: {} read, {} skipped, {} empty, {} thinned out, {} too short, {} taken{}\n", grouped(c.read),
             grouped(c.skipped), grouped(c.empty), grouped(c.thinned), grouped(c.short_ones), grouped(c.taken),
             c.limited ? " (stopped by the limit)" : "");
  if (r.invalid_documents > 0) {
    fmt::print("  {} documents are not valid UTF-8; the wrong bytes became U+FFFD\n", grouped(r.invalid_documents));
  }
  if (r.unknown_tokens > 0) fmt::print("  {} tokens are the model's \"unknown\"\n", grouped(r.unknown_tokens));
  if (r.tokenless > 0) fmt::print("  {} documents gave no token and were left out\n", grouped(r.tokenless));
  fmt::print("  seconds: {:.1f} reading, {:.1f} training the tokenizer on {:.1f} MB, {:.1f} encoding\n", r.scan_seconds,
             r.train_seconds, static_cast<double>(r.sample_bytes) / 1e6, r.encode_seconds);
  fmt::print("Look at it: timetrial data inspect {} --verify\n", spec.output);
}

void print_json(const PrepareReport& r) {
  const Ordered json = {
      {"train", to_json(r.train)},
      {"validation", to_json(r.validation)},
      {"vocabulary", r.vocabulary},
      {"token_type", name_of(r.token_type)},
      {"documents", documents_json(r)},
      {"unknown_tokens", r.unknown_tokens},
      {"sample_bytes", r.sample_bytes},
      {"seconds", {{"scan", r.scan_seconds}, {"train", r.train_seconds}, {"encode", r.encode_seconds}}}};
  fmt::print("{}\n", json.dump(2, ' ', false, Ordered::error_handler_t::replace));
}

// An option whose value is one of the names of an enum.
template <class Enum>
void add_choice(CLI::App& command, const char* option, Enum& value, const std::vector<Enum>& choices,
                const char* help) {
  std::map<std::string, Enum> by_name;
  std::vector<std::string> names;
  for (const Enum choice : choices) {
    names.emplace_back(name_of(choice));
    by_name[names.back()] = choice;
  }
  command
      .add_option_function<std::string>(
          option, [&value, by_name](const std::string& name) { value = by_name.at(name); }, help)
      ->check(CLI::IsMember(names).description(""))
      ->type_name(fmt::format("{}", fmt::join(names, "|")))
      ->default_str(std::string(name_of(value)));
}

// What --tokenizer says: a kind, or a model file.
void choose_tokenizer(const std::string& text, PrepareSpec& spec) {
  std::vector<std::string> kinds;
  for (const TokenizerChoice choice : {TokenizerChoice::bpe, TokenizerChoice::unigram, TokenizerChoice::bytes}) {
    kinds.emplace_back(name_of(choice));
    if (text != kinds.back()) continue;
    spec.tokenizer = choice;
    return;
  }
  if (!std::filesystem::exists(text)) {
    const std::string near = nearest_word(text, kinds);
    throw UserError(fmt::format("--tokenizer {}: neither {} nor a file{}", text, fmt::join(kinds, ", "),
                                near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }
  spec.tokenizer = TokenizerChoice::model;
  spec.model_file = text;
}

void refuse_without_training(const char* option, const std::string& tokenizer, TokenizerChoice choice) {
  switch (choice) {
    case TokenizerChoice::bpe:
    case TokenizerChoice::unigram:
      return;
    case TokenizerChoice::bytes:
    case TokenizerChoice::model:
      throw UserError(fmt::format(
          "{} is for a tokenizer that is trained here, and --tokenizer {} is not; leave it out, or train one "
          "with --tokenizer bpe or unigram",
          option, tokenizer));
  }
  throw Error(fmt::format("unknown tokenizer {}", static_cast<int>(choice)));
}

void add_prepare(CLI::App& data) {
  struct Arguments {
    PrepareSpec spec;
    std::string tokenizer = "bpe";
    bool json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  PrepareSpec& spec = arguments->spec;
  DocumentSpec& documents = spec.documents;
  CLI::App* command = data.add_subcommand("prepare", "turn text or JSON lines into token files");
  command->footer(
      "Example: a dictionary, entries as documents, every 50th entry held out, a tokenizer of 1024 ids trained on it:\n"
      "  timetrial data prepare /usr/share/dictd/gcide.dict.dz --output data/gcide --documents heading \\\n"
      "      --skip-documents 9 --tokenizer bpe --vocabulary 1024 --validation-fraction 0.02\n"
      "It writes data/gcide-train.{bin,idx}, data/gcide-validation.{bin,idx}, data/gcide.model and data/gcide.json "
      "(where\n"
      "all of it comes from). In a run's config these are data.train = data/gcide-train, data.validation =\n"
      "data/gcide-validation. More:\n"
      "  timetrial data prepare part-*.jsonl.gz --output data/c4 --tokenizer tokenizer.model\n"
      "  timetrial data prepare book.txt --output data/book --tokenizer bytes --validation-documents 20\n"
      "Held-out documents are spread evenly over the input. The same input and options give the same bytes.");
  command->add_option("INPUT", documents.inputs, "text or JSON-lines files, also gzip-compressed")->required();
  command->add_option("-o,--output", spec.output, "prefix of the files to write")->required()->type_name("PREFIX");
  command
      ->add_option("--tokenizer", arguments->tokenizer,
                   "bpe or unigram (trained here), bytes, or a SentencePiece model file")
      ->capture_default_str()
      ->type_name("bpe|unigram|bytes|FILE");
  command->add_option("--vocabulary", spec.vocabulary, "ids of a tokenizer trained here")->capture_default_str();
  const auto size = CLI::AsSizeValue(true).description("SIZE");
  command
      ->add_option("--train-bytes", spec.sample_bytes, "most text a tokenizer is trained on, evenly spread (e.g. 4MB)")
      ->transform(size)
      ->capture_default_str();
  add_choice(*command, "--documents", documents.separator,
             {DocumentBreak::blank_line, DocumentBreak::heading, DocumentBreak::line, DocumentBreak::file},
             "what separates the documents of a text; heading: a blank line before a line that is not indented");
  add_choice(*command, "--format", documents.format, {TextFormat::automatic, TextFormat::plain, TextFormat::json_lines},
             "auto goes by the name's ending .jsonl or .ndjson (.gz)");
  command->add_option("--text-field", documents.text_field, "field of a JSON line that holds the text")
      ->capture_default_str();
  command->add_option("--validation-fraction", spec.validation_fraction, "part of the documents to hold out")
      ->capture_default_str();
  command->add_option("--validation-documents", spec.validation_documents, "number of documents to hold out, instead")
      ->excludes("--validation-fraction");
  command->add_option("--skip-documents", documents.skip_documents, "leave out the first ones")->capture_default_str();
  command->add_option("--keep-every", documents.keep_every, "take one document of so many, evenly spread")
      ->capture_default_str();
  command->add_option("--min-document-bytes", documents.shortest_bytes, "leave out shorter documents")
      ->transform(size)
      ->capture_default_str();
  command->add_option("--max-document-bytes", documents.longest_bytes, "a longer document is an error")
      ->transform(size)
      ->capture_default_str();
  command->add_option("--max-documents", documents.most_documents, "stop after so many documents");
  command->add_option("--limit-bytes", documents.most_bytes, "stop before the text has more bytes (e.g. 16MB)")
      ->transform(size);
  command->add_flag("--append-eod", spec.append_end_of_document,
                    "end every document with the tokenizer's end id (default: no)");
  command->add_option("--threads", spec.threads, "for encoding; 0: all of the machine")->capture_default_str();
  command->add_flag("--json", arguments->json, "print the outcome as JSON");
  command->callback([arguments, command] {
    PrepareSpec& chosen = arguments->spec;
    choose_tokenizer(arguments->tokenizer, chosen);
    for (const char* option : {"--vocabulary", "--train-bytes"})
      if (command->count(option) > 0) refuse_without_training(option, arguments->tokenizer, chosen.tokenizer);
    PrepareReport report;
    {
      ProgressLine line;
      report = prepare_data(chosen, [&line](const PrepareProgress& progress) { line.tell(progress_text(progress)); });
    }
    if (arguments->json) {
      print_json(report);
    } else {
      print_report(chosen, report);
    }
  });
}

// ---- inspect

std::string judgement(const TokenFileReport& r) {
  if (r.documents == 0) return "the file is consistent, but it has no documents: nothing can be trained on it";
  if (!r.verified) return "index and sizes are consistent; the tokens were not read (--verify reads them)";
  std::string text = "complete and consistent";
  text += r.vocabulary > 0
              ? fmt::format(": every id is below {}", grouped(r.vocabulary))
              : "; the vocabulary is not known, so ids were not checked (give --tokenizer or --vocabulary)";
  text += r.manifest_hash.empty() ? "; there is no manifest to compare with" : "; the hash is the manifest's";
  return text;
}

// Control characters as \n or \x1b, so that a sample stays on its line and cannot touch the terminal.
std::string on_one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  return line;
}

void print_report(const TokenFileReport& r) {
  fmt::print("{}: {}\n", r.prefix, judgement(r));
  fmt::print("  documents {:>15}   {} empty; tokens each: {} min, {:.1f} mean, {} max\n", grouped(r.documents),
             grouped(r.empty_documents), grouped(r.shortest), r.mean, grouped(r.longest));
  fmt::print("  tokens    {:>15}   {}, {:.1f} MB in .bin\n", grouped(r.tokens), name_of(r.token_type),
             static_cast<double>(r.tokens) * static_cast<double>(bytes_of(r.token_type)) / 1e6);
  fmt::print("  tokenizer {}\n", r.tokenizer.empty() ? "not known (give --tokenizer MODEL)"
                                                     : fmt::format("{}, {} ids", r.tokenizer, grouped(r.vocabulary)));
  if (r.verified && r.tokens > 0) {
    fmt::print("  ids       {} to {}{}, hash {}\n", r.smallest_id, r.largest_id,
               r.vocabulary > 0 ? fmt::format(", {} of {} occur", grouped(r.distinct_ids), grouped(r.vocabulary)) : "",
               r.bin_hash);
  }
  for (const SampledDocument& one : r.samples) {
    fmt::print("  document {}, {} tokens{}: {}\n", grouped(one.document), grouped(one.tokens),
               one.ids.size() < static_cast<size_t>(one.tokens) ? fmt::format(", the first {}", one.ids.size()) : "",
               one.text ? on_one_line(*one.text) : fmt::format("{}", fmt::join(one.ids, " ")));
  }
}

Ordered to_json(const TokenFileReport& r) {
  Ordered samples = Ordered::array();
  for (const SampledDocument& one : r.samples) {
    samples.push_back({{"document", one.document},
                       {"tokens", one.tokens},
                       {"ids", one.ids},
                       {"text", one.text ? Ordered(*one.text) : Ordered()}});
  }
  Ordered json = {{"prefix", r.prefix},
                  {"judgement", judgement(r)},
                  {"token_type", name_of(r.token_type)},
                  {"documents", r.documents},
                  {"empty_documents", r.empty_documents},
                  {"tokens", r.tokens},
                  {"shortest", r.shortest},
                  {"mean", r.mean},
                  {"longest", r.longest},
                  {"tokenizer", r.tokenizer.empty() ? Ordered() : Ordered(r.tokenizer)},
                  {"vocabulary", r.vocabulary > 0 ? Ordered(r.vocabulary) : Ordered()},
                  {"verified", r.verified}};
  if (r.verified) {
    json["smallest_id"] = r.smallest_id;
    json["largest_id"] = r.largest_id;
    json["distinct_ids"] = r.vocabulary > 0 ? Ordered(r.distinct_ids) : Ordered();
    json["bin_xxh3_128"] = r.bin_hash;
    json["manifest_agrees"] = r.manifest_hash.empty() ? Ordered() : Ordered(r.hash_matches_manifest);
  }
  json["samples"] = samples;
  return json;
}

// PREFIX itself, or what `prepare` made under this prefix.
std::vector<std::string> token_files(const std::string& prefix) {
  if (std::filesystem::exists(idx_path_of(prefix)) || !std::filesystem::exists(idx_path_of(prefix + "-train")))
    return {prefix};
  std::vector<std::string> both{prefix + "-train"};
  if (std::filesystem::exists(idx_path_of(prefix + "-validation"))) both.push_back(prefix + "-validation");
  return both;
}

void add_inspect(CLI::App& data) {
  struct Arguments {
    InspectSpec spec;
    bool json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  InspectSpec& spec = arguments->spec;
  CLI::App* command = data.add_subcommand("inspect", "show what is in a token file, and verify it");
  command->footer(
      "Examples:\n"
      "  timetrial data inspect data/gcide --verify        both files that `data prepare --output data/gcide` wrote\n"
      "  timetrial data inspect c4-train_text_document --tokenizer tokenizer.model --samples 3\n"
      "Exit code: 0 the file is as it should be, 2 it is not (the line says where).");
  command->add_option("PREFIX", spec.prefix, "of PREFIX.idx and PREFIX.bin, or of `data prepare`")->required();
  command->add_option("--tokenizer", spec.model_file, "SentencePiece model to decode with (default: the manifest's)")
      ->type_name("MODEL");
  command->add_option("--vocabulary", spec.vocabulary, "ids must be below this (default: the tokenizer's)")
      ->check(CLI::Range(int64_t{1}, int64_t{INT32_MAX}).description(""));
  command->add_option("--samples", spec.samples, "documents to show, evenly spread")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000000).description(""));
  command->add_flag("--verify", spec.verify, "read every token: ids, sizes, and the manifest's hash");
  command->add_flag("--json", arguments->json, "print as JSON");
  command->callback([arguments] {
    Ordered all = Ordered::array();
    for (const std::string& prefix : token_files(arguments->spec.prefix)) {
      InspectSpec one = arguments->spec;
      one.prefix = prefix;
      TokenFileReport report;
      {
        ProgressLine line;
        report =
            inspect_tokens(one, [&](double f) { line.tell(fmt::format("verifying {} {:.0f} %", prefix, 100 * f)); });
      }
      if (arguments->json) {
        all.push_back(to_json(report));
      } else {
        print_report(report);
      }
    }
    if (arguments->json) fmt::print("{}\n", all.dump(2, ' ', false, Ordered::error_handler_t::replace));
  });
}

}  // namespace

void add_data_command(CLI::App& app, int& exit_code) {
  CLI::App* data = app.add_subcommand("data", "prepare and inspect token files");
  data->require_subcommand(1);
  add_prepare(*data);
  add_inspect(*data);
  data->callback([&exit_code] { exit_code = 0; });
}

}  // namespace timetrial::apps
