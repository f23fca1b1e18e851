// Cuts files into documents and applies the selection.
// SPDX-License-Identifier: Apache-2.0
#include "data/document_stream.h"

#include <nlohmann/json.hpp>

#include "timetrial/base/error.h"
#include "timetrial/base/json.h"

namespace timetrial {
namespace {

bool ends_with(std::string_view text, std::string_view end) { return text.ends_with(end); }

bool names_json_lines(std::string_view path) {
  if (ends_with(path, ".gz")) path.remove_suffix(3);
  return ends_with(path, ".jsonl") || ends_with(path, ".ndjson");
}

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos; }
bool indented(std::string_view line) { return line.front() == ' ' || line.front() == '\t'; }

}  // namespace

std::string_view name_of(TextFormat format) {
  switch (format) {
    case TextFormat::automatic:
      return "auto";
    case TextFormat::plain:
      return "text";
    case TextFormat::json_lines:
      return "jsonl";
  }
  throw Error(fmt::format("unknown text format {}", static_cast<int>(format)));
}

std::string_view name_of(DocumentBreak separator) {
  switch (separator) {
    case DocumentBreak::blank_line:
      return "blank-line";
    case DocumentBreak::heading:
      return "heading";
    case DocumentBreak::line:
      return "line";
    case DocumentBreak::file:
      return "file";
  }
  throw Error(fmt::format("unknown document separator {}", static_cast<int>(separator)));
}

DocumentStream::DocumentStream(const DocumentSpec& spec) : spec_(spec) {
  for (const std::string& path : spec_.inputs) bytes_total_ += InputFile(path).size();
}

bool DocumentStream::open_next() {
  if (next_input_ == spec_.inputs.size()) return false;
  reader_ = std::make_unique<TextReader>(spec_.inputs[next_input_++]);
  return true;
}

void DocumentStream::close() {
  done_.push_back({reader_->path(), reader_->size(), reader_->bytes_read(), reader_->hash()});
  bytes_done_ += reader_->size();
  reader_.reset();
}

std::vector<SourceFile> DocumentStream::sources() const {
  std::vector<SourceFile> all = done_;
  if (reader_) all.push_back({reader_->path(), reader_->size(), reader_->bytes_read(), reader_->hash()});
  for (size_t i = all.size(); i < spec_.inputs.size(); ++i) {
    all.push_back({spec_.inputs[i], InputFile(spec_.inputs[i]).size(), 0, StreamHash().text()});
  }
  return all;
}

double DocumentStream::fraction() const {
  const int64_t read = bytes_done_ + (reader_ ? reader_->bytes_read() : 0);
  return bytes_total_ == 0 ? 1.0 : static_cast<double>(read) / static_cast<double>(bytes_total_);
}

void DocumentStream::append_line(std::string& document) {
  if (document.size() + line_.size() + 1 > static_cast<size_t>(spec_.longest_bytes)) {
    throw DataError(reader_->path(),
                    fmt::format("has a document of more than {} bytes at line {}; separate its documents in "
                                "another way, or allow longer ones",
                                spec_.longest_bytes, reader_->lines()));
  }
  document += line_;
  document += '\n';
}

bool DocumentStream::next_plain(std::string& document) {
  const auto longest = static_cast<size_t>(spec_.longest_bytes);
  document.clear();
  std::string blanks;  // lines that turn out to be inside the document, or after it
  while (line_waits_ || reader_->line(line_, longest)) {
    line_waits_ = false;
    if (blank(line_)) {
      if (document.empty()) continue;
      if (spec_.separator == DocumentBreak::blank_line) return true;
      blanks += line_ + "\n";
      if (blanks.size() > longest) blanks.resize(longest);  // the next line then meets the limit of append_line
      continue;
    }
    if (spec_.separator == DocumentBreak::line) {
      document = line_;
      return true;
    }
    if (spec_.separator == DocumentBreak::heading && !blanks.empty() && !indented(line_)) {
      line_waits_ = true;
      return true;
    }
    document += blanks;
    blanks.clear();
    append_line(document);
  }
  return !document.empty();
}

bool DocumentStream::next_json(std::string& document) {
  do {
    // A JSON string needs at most six characters for one byte of text.
    if (!reader_->line(line_, 6 * static_cast<size_t>(spec_.longest_bytes))) return false;
  } while (blank(line_));
  const std::string place = fmt::format("{}:{}", reader_->path(), reader_->lines());
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line_);
  } catch (const nlohmann::json::parse_error& error) {
    throw DataError(place,
                    fmt::format("is not valid JSON at column {}; correct the line, or say --format text", error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    throw DataError(place, "holds a number that is too large for 64 bits; correct the line, or say --format text");
  }
  const auto field = object.is_object() ? object.find(spec_.text_field) : object.end();
  if (!object.is_object() || field == object.end() || !field->is_string()) {
    std::string known;
    if (object.is_object()) {
      for (const auto& [key, value] : object.items()) {
        if (value.is_string()) known += (known.empty() ? "" : ", ") + key;
      }
    }
    throw DataError(
        place, fmt::format("has no text in a field \"{}\" (fields with text: {}); name the field with --text-field",
                           spec_.text_field, known.empty() ? "none" : known));
  }
  document = field->get<std::string>();
  return true;
}

bool DocumentStream::next_raw(std::string& document) {
  while (reader_ || open_next()) {
    const bool json = spec_.format == TextFormat::json_lines ||
                      (spec_.format == TextFormat::automatic && names_json_lines(reader_->path()));
    if (json ? next_json(document) : next_plain(document)) return true;
    close();
  }
  return false;
}

bool DocumentStream::next(std::string& document) {
  while (counts_.taken < spec_.most_documents && next_raw(document)) {
    ++counts_.read;
    const auto bytes = static_cast<int64_t>(document.size());
    if (counts_.skipped < spec_.skip_documents) {
      ++counts_.skipped;
    } else if (bytes == 0) {
      ++counts_.empty;
    } else if (eligible_++ % spec_.keep_every != 0) {
      ++counts_.thinned;
    } else if (bytes < spec_.shortest_bytes) {
      ++counts_.short_ones;
    } else if (bytes > spec_.most_bytes - counts_.taken_bytes) {
      counts_.limited = true;
      return false;
    } else {
      ++counts_.taken;
      counts_.taken_bytes += bytes;
      return true;
    }
  }
  if (counts_.taken >= spec_.most_documents) counts_.limited = true;
  return false;
}

}  // namespace timetrial
