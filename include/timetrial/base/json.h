// JSON helpers: reading files with errors a user can act on, a stable text, and its hash.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace timetrial {

using Json = nlohmann::json;

// Reads and parses a file. Throws UserError naming the file, and line and column of the first syntax error; also for a
// number that no double holds (1e999) and for more than 200 levels.
Json read_json_file(const std::string& path);

// Parses text; `origin` stands for the file's name in errors.
Json parse_json(std::string_view text, const std::string& origin);

// 32 hexadecimal digits of the text's 128-bit xxHash (XXH3): an identity, not a signature.
std::string hash_text(std::string_view text);

// The candidate closest to `word` by edit distance; empty when none is near (more than a third of the word wrong).
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace timetrial
