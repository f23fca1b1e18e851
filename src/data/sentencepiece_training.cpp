// Training a SentencePiece model that loses nothing of the text.
// SPDX-License-Identifier: Apache-2.0
#include <sentencepiece_trainer.h>

#include <algorithm>

#include "timetrial/base/error.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {
namespace {

// Nothing but names of the model's own symbols: the unigram trainer ends the process over a text of these alone.
bool only_symbols(std::string_view line) {
  while (!line.empty()) {
    size_t symbol = 0;
    if (line.starts_with("<unk>")) symbol = 5;
    if (line.starts_with("</s>")) symbol = 4;
    if (line.starts_with("<0x") && line.size() >= 6 && line[5] == '>') symbol = 6;
    if (symbol == 0) return false;
    line.remove_prefix(symbol);
  }
  return true;
}

// Hands out the texts in pieces that the trainer takes: it drops whatever holds a tab or a zero byte, and whatever is
// longer than its limit. No piece of the vocabulary crosses a line end, so cutting there loses nothing.
class TrainingLines final : public sentencepiece::SentenceIterator {
 public:
  explicit TrainingLines(const std::vector<std::string>& texts) : texts_(texts) { Next(); }

  bool done() const override { return done_; }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

  void Next() override {
    while (text_ < texts_.size()) {
      const std::string& text = texts_[text_];
      at_ = text.find_first_not_of(kBreaks, at_);
      if (at_ == std::string::npos) {
        ++text_;
        at_ = 0;
        continue;
      }
      size_t end = std::min(text.find_first_of(kBreaks, at_), text.size());
      if (end - at_ > kLongest) {
        end = at_ + kLongest;
        while (end > at_ + 1 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole characters
      }
      line_.assign(text, at_, end - at_);
      at_ = end;
      if (!only_symbols(line_)) return;
    }
    done_ = true;
  }

 private:
  static constexpr std::string_view kBreaks{"\n\r\t\0", 4};
  static constexpr size_t kLongest = 4000;  // bytes; the trainer's own limit is 4192

  const std::vector<std::string>& texts_;
  size_t text_ = 0, at_ = 0;
  std::string line_;
  bool done_ = false;
};

}  // namespace

std::string_view name_of(SentencePieceType type) {
  switch (type) {
    case SentencePieceType::bpe:
      return "bpe";
    case SentencePieceType::unigram:
      return "unigram";
  }
  throw Error(fmt::format("unknown SentencePiece type {}", static_cast<int>(type)));
}

std::string train_sentencepiece(const SentencePieceTraining& training) {
  size_t bytes = 0;
  for (const std::string& text : training.texts) bytes += text.size();
  TrainingLines lines(training.texts);
  std::string model;
  const auto refuse = [&](const std::string& why) {
    throw UserError(
        fmt::format("a SentencePiece model ({}) of {} ids cannot be trained on {} bytes of text: {}; choose another "
                    "--vocabulary, more text, or --tokenizer bytes",
                    name_of(training.type), training.vocabulary, bytes, why));
  };
  if (lines.done()) refuse("there is no text in it");
  // 256 bytes, <unk> and </s>; the rest are characters and what is learnt.
  if (training.vocabulary < 300 || training.vocabulary > 1000000) refuse("it needs 300 to 1000000 ids");
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      {
          {"model_type", std::string(name_of(training.type))},
          {"vocab_size", std::to_string(training.vocabulary)},
          {"normalization_rule_name", "identity"},
          {"add_dummy_prefix", "false"},
          {"remove_extra_whitespaces", "false"},
          {"allow_whitespace_only_pieces", "true"},
          {"byte_fallback", "true"},
          {"unk_id", "0"},
          {"eos_id", "1"},
          {"bos_id", "-1"},
          {"pad_id", "-1"},
          // Sums of the unigram trainer depend on the number of its threads: fixed, so that the model does not depend
          // on the machine.
          {"num_threads", "4"},
          {"minloglevel", "2"},  // errors alone go to stderr
      },
      &lines, &model);
  if (!status.ok()) {
    std::string why = status.error_message();
    // "source.cc(660) [condition] What is wrong." Only the last part is for people.
    const size_t place = why.rfind("] ");
    if (place != std::string::npos) why.erase(0, place + 2);
    std::replace(why.begin(), why.end(), '\n', ' ');
    while (why.ends_with('.') || why.ends_with(' ')) why.pop_back();
    refuse(why);
  }
  return model;
}

}  // namespace timetrial
