// Stands in for libFuzzer in ordinary builds: feeds a fuzzer its committed corpus and the same few hundred mutations of
// every seed each time. Exit code 0 unless an input crashes, throws, or there is no corpus. SPDX-License-Identifier:
// Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;

constexpr int kMutations = 200;

// One to four changes: a bit, a byte, a cut end, a doubled or removed piece.
Bytes mutated(Bytes bytes, std::mt19937& random) {
  for (size_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
    const size_t at = random() % bytes.size(), length = std::min<size_t>(1 + random() % 16, bytes.size() - at);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at),
               end = begin + static_cast<std::ptrdiff_t>(length);
    switch (random() % 5) {
      case 0:
        bytes[at] ^= static_cast<uint8_t>(1U << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<uint8_t>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3: {
        const Bytes piece(begin, end);
        bytes.insert(begin, piece.begin(), piece.end());
        break;
      }
      case 4:
        bytes.erase(begin, end);
        break;
    }
  }
  return bytes;
}

// What is being tried lies in a file, so that after a crash the input is there.
void try_input(const Bytes& bytes, const std::filesystem::path& last) {
  std::ofstream(last, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    fmt::print(stderr, "usage: {} CORPUS_FOLDER_OR_FILE\n", arguments[0]);
    return 2;
  }
  const std::filesystem::path corpus = arguments[1];
  std::vector<std::filesystem::path> seeds;
  if (std::filesystem::is_directory(corpus)) {
    for (const auto& entry : std::filesystem::directory_iterator(corpus)) seeds.push_back(entry.path());
  } else if (std::filesystem::exists(corpus)) {
    seeds.push_back(corpus);
  }
  std::sort(seeds.begin(), seeds.end());
  if (seeds.empty()) {
    fmt::print(stderr, "{}: no inputs there\n", corpus.string());
    return 1;
  }
  const std::filesystem::path last =
      std::filesystem::current_path() / (std::filesystem::path(arguments[0]).filename().string() + ".input");
  std::mt19937 random(1);
  int inputs = 0;
  for (const auto& seed : seeds) {
    std::ifstream file(seed, std::ios::binary);
    const Bytes bytes{std::istreambuf_iterator<char>(file), {}};
    try {
      try_input(bytes, last);
      ++inputs;
      for (int i = 0; i < kMutations; ++i, ++inputs) try_input(mutated(bytes, random), last);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{} or a mutation of it (input in {}): {}\n", seed.string(), last.string(), error.what());
      return 1;
    }
  }
  std::filesystem::remove(last);
  fmt::print("{} seeds, {} inputs\n", seeds.size(), inputs);
  return 0;
}
