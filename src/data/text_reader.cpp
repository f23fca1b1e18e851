// Streaming gzip and plain text, cut into lines.
// SPDX-License-Identifier: Apache-2.0
#include "data/text_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

constexpr size_t kBlockBytes = 256 << 10;
constexpr int kGzipWindow = 15 + 16;  // zlib: largest window, gzip header expected

}  // namespace

TextReader::TextReader(const std::string& path) : file_(path), raw_(kBlockBytes), text_(kBlockBytes) {
  unsigned char magic[2] = {};
  if (file_.read_up_to(0, magic, 2) < 2 || magic[0] != 0x1f || magic[1] != 0x8b) return;
  zip_ = std::make_unique<z_stream_s>();
  *zip_ = {};
  TIMETRIAL_CHECK(inflateInit2(zip_.get(), kGzipWindow) == Z_OK, "inflateInit2");
  in_member_ = true;
}

TextReader::~TextReader() {
  if (zip_) inflateEnd(zip_.get());
}

size_t TextReader::read_raw() {
  const size_t count = file_.read_up_to(at_, raw_.data(), raw_.size());
  hash_.add(raw_.data(), count);
  at_ += static_cast<int64_t>(count);
  return count;
}

// Between two members: either another one follows, or zeros that pad the file, or its end.
void TextReader::start_member() {
  while (!in_member_) {
    if (zip_->avail_in == 0) {
      zip_->avail_in = static_cast<uInt>(read_raw());
      zip_->next_in = reinterpret_cast<Bytef*>(raw_.data());
      if (zip_->avail_in == 0) return;
    }
    if (*zip_->next_in == 0) {
      ++zip_->next_in;
      --zip_->avail_in;
    } else if (*zip_->next_in == 0x1f) {
      TIMETRIAL_CHECK(inflateReset(zip_.get()) == Z_OK, "inflateReset");
      in_member_ = true;
    } else {
      throw DataError(path(),
                      fmt::format("has something that is not gzip after its compressed text, at byte {}; compress "
                                  "it again",
                                  at_ - zip_->avail_in));
    }
  }
}

bool TextReader::inflate_more() {
  zip_->next_out = reinterpret_cast<Bytef*>(text_.data());
  zip_->avail_out = static_cast<uInt>(text_.size());
  while (zip_->avail_out > 0) {
    if (!in_member_) start_member();
    if (!in_member_) break;
    if (zip_->avail_in == 0) {
      zip_->avail_in = static_cast<uInt>(read_raw());
      zip_->next_in = reinterpret_cast<Bytef*>(raw_.data());
      if (zip_->avail_in == 0) {
        throw DataError(path(),
                        fmt::format("is truncated: the compressed text does not end within its {} bytes; copy or "
                                    "download it again",
                                    at_));
      }
    }
    const int status = inflate(zip_.get(), Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      in_member_ = false;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      throw DataError(path(),
                      fmt::format("is damaged near byte {} of its compressed text ({}); copy or download it again",
                                  at_ - zip_->avail_in, zip_->msg == nullptr ? "zlib" : zip_->msg));
    }
  }
  text_end_ = text_.size() - zip_->avail_out;
  return text_end_ > 0;
}

bool TextReader::refill() {
  text_at_ = 0;
  if (zip_) return inflate_more();
  text_end_ = read_raw();
  std::memcpy(text_.data(), raw_.data(), text_end_);
  return text_end_ > 0;
}

bool TextReader::line(std::string& to, size_t longest) {
  to.clear();
  bool any = false;
  while (text_at_ < text_end_ || refill()) {
    any = true;
    const char* from = text_.data() + text_at_;
    const size_t left = text_end_ - text_at_;
    const auto* end = static_cast<const char*>(std::memchr(from, '\n', left));
    const size_t count = end == nullptr ? left : static_cast<size_t>(end - from);
    if (to.size() + count > longest) {
      throw DataError(path(), fmt::format("has more than {} bytes in line {}, the most a document may have; break the "
                                          "text into lines, or is it no text?",
                                          longest, lines_ + 1));
    }
    to.append(from, count);
    text_at_ += count;
    if (end != nullptr) {
      ++text_at_;
      break;
    }
  }
  if (!any) return false;
  if (!to.empty() && to.back() == '\r') to.pop_back();
  ++lines_;
  return true;
}

}  // namespace timetrial
