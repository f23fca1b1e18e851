// gzip members for tests: plain ones, and ones with an extra field as dictzip writes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <string>

namespace timetrial::testing {

inline std::string gzip(const std::string& text, bool with_extra_field = false) {
  z_stream zip = {};
  deflateInit2(&zip, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  gz_header header = {};
  unsigned char extra[] = {'R', 'A', 4, 0, 1, 0, 2, 0};
  if (with_extra_field) {
    header.extra = extra;
    header.extra_len = sizeof(extra);
    deflateSetHeader(&zip, &header);
  }
  std::string out(deflateBound(&zip, text.size()) + 64, '\0');
  zip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  zip.avail_in = static_cast<uInt>(text.size());
  zip.next_out = reinterpret_cast<Bytef*>(out.data());
  zip.avail_out = static_cast<uInt>(out.size());
  deflate(&zip, Z_FINISH);
  out.resize(zip.total_out);
  deflateEnd(&zip);
  return out;
}

}  // namespace timetrial::testing
