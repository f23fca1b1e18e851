// PREFIX.json beside prepared token files: where they come from and which tokenizer they belong to.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/document_stream.h"
#include "timetrial/data/prepare.h"
#include "timetrial/data/tokenizer.h"

namespace timetrial {

// The manifest's text, with a line end. It holds no dates and no host: the same inputs give the same text.
std::string manifest_text(const PrepareSpec& spec, const PrepareReport& report, const std::vector<SourceFile>& sources,
                          const Tokenizer& tokenizer);

// What reading a token file needs of it.
struct Manifest {
  std::string path;
  int64_t vocabulary;
  bool bytes;              // tokenizer: raw bytes
  bool end_of_document;    // appended to every document
  std::string model_path;  // of the model beside it; empty for bytes
  std::string bin_hash;    // of the split that was asked for
};

// The manifest that belongs to PREFIX-train or PREFIX-validation; nothing when the prefix has no such ending or there
// is no PREFIX.json. Throws DataError when there is one that is none of ours.
std::optional<Manifest> find_manifest(const std::string& split_prefix);

}  // namespace timetrial
