// SentencePiece models: foreign bytes are refused, and whatever is taken for a model encodes and decodes.
// SPDX-License-Identifier: Apache-2.0
#include "fuzz/fuzz.h"
#include "timetrial/data/tokenizer.h"

using namespace timetrial;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::one_line_errors_only([&] {
    const auto tokenizer = make_sentencepiece_tokenizer({reinterpret_cast<const char*>(data), size}, "tokenizer.model");
    std::vector<int32_t> ids;
    tokenizer->encode("The quick  brown fox,\n\n J\u00fcrgen \U0001F98A \xff 12345\n", ids);
    for (const int32_t id : ids)
      TIMETRIAL_CHECK(id >= 0 && id < tokenizer->vocabulary(), "id {} of {}", id, tokenizer->vocabulary());
    tokenizer->decode(ids);
    const auto last = static_cast<int32_t>(tokenizer->vocabulary() - 1);
    tokenizer->decode(std::vector<int32_t>{0, last, last / 2});
  });
  return 0;
}
