// Token indexes: the input is a .idx file beside a .bin of the size that its lengths announce (a hole, so any size is
// cheap). SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "fuzz/fuzz.h"
#include "timetrial/data/indexed_data_provider.h"
#include "timetrial/data/indexed_tokens.h"
#include "timetrial/data/inspect.h"

using namespace timetrial;

namespace {

constexpr int64_t kLargestBin = int64_t{1} << 40, kMostTokensRead = 1 << 20;

// Bytes of the .bin: what the lengths say, if there are as many as the header says.
int64_t announced_bytes(const uint8_t* data, size_t size) {
  if (size < 34) return 0;
  uint64_t sequences;
  std::memcpy(&sequences, data + 18, sizeof(sequences));
  const int64_t item = data[17] == 4 ? 4 : data[17] == 8 ? 2 : 1;
  int64_t tokens = 0;
  for (uint64_t i = 0; i < std::min<uint64_t>(sequences, (size - 34) / 4); ++i) {
    int32_t length;
    std::memcpy(&length, data + 34 + 4 * i, sizeof(length));
    tokens += std::max(length, 0);
  }
  return std::min(tokens * item, kLargestBin);
}

void read_ends(const IndexedTokens& tokens) {
  const int64_t count = std::min<int64_t>(tokens.tokens(), 64);
  std::vector<int32_t> ids(static_cast<size_t>(count));
  tokens.read(0, ids);
  tokens.read(tokens.tokens() - count, ids);
  if (count == 0) return;
  for (const int64_t token : {int64_t{0}, tokens.tokens() / 2, tokens.tokens() - 1}) {
    const int64_t document = tokens.document_at(token);
    TIMETRIAL_CHECK(tokens.document_begins()[static_cast<size_t>(document)] <= token &&
                        token < tokens.document_begins()[static_cast<size_t>(document) + 1],
                    "token {} is not in document {}", token, document);
  }
}

void train_on(const std::string& prefix) {
  IndexedDataProvider provider({.train_prefixes = {prefix},
                                .validation_prefix = prefix,
                                .sequence_length = 8,
                                .vocabulary = 256,
                                .global_batch = 4,
                                .micro_batch = 2,
                                .training_samples = 12,
                                .evaluation_samples = 3,
                                .evaluation_batch = 2,
                                .seed = 7});
  const auto training = provider.training();
  for (int i = 0; i < 3; ++i) training->next();
  provider.evaluation()->next();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  folder.write("input.idx", {reinterpret_cast<const char*>(data), size});
  const std::string bin = folder.write("input.bin", {}), prefix = folder.path() + "/input";
  std::filesystem::resize_file(bin, static_cast<uintmax_t>(announced_bytes(data, size)));
  fuzz::one_line_errors_only([&] {
    const IndexedTokens tokens(prefix);
    read_ends(tokens);
    if (tokens.tokens() > kMostTokensRead) return;
    inspect_tokens({.prefix = prefix, .samples = 3, .verify = true});
    train_on(prefix);
  });
  return 0;
}
