// A pool for one block: each thread takes the next document that nobody has taken.
// SPDX-License-Identifier: Apache-2.0
#include "data/encode.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "data/utf8.h"

namespace timetrial {

void encode_documents(const Tokenizer& tokenizer, int threads, std::vector<EncodedDocument>& documents) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const std::optional<int32_t> unknown = tokenizer.unknown();
  const auto work = [&] {
    try {
      for (size_t i; (i = next.fetch_add(1)) < documents.size();) {
        documents[i].valid = valid_utf8(documents[i].text);
        tokenizer.encode(documents[i].text, documents[i].ids);
        if (unknown) documents[i].unknown = std::count(documents[i].ids.begin(), documents[i].ids.end(), *unknown);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = documents.size();
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace timetrial
