// Documents to tokens on several threads, in the order of the documents.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "timetrial/data/tokenizer.h"

namespace timetrial {

struct EncodedDocument {
  std::string text;
  bool valid = true;  // UTF-8
  std::vector<int32_t> ids;
  int64_t unknown = 0;  // of these
};

// Fills in `valid`, `ids` and `unknown` of every document. What comes out does not depend on the number of threads.
void encode_documents(const Tokenizer& tokenizer, int threads, std::vector<EncodedDocument>& documents);

}  // namespace timetrial
