// Opens without waiting, so that a named pipe among the logs hangs nobody.
// SPDX-License-Identifier: Apache-2.0
#include "results/file_text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "timetrial/base/error.h"

namespace timetrial::results {

namespace {

struct Descriptor {
  int number;
  explicit Descriptor(const std::string& path) : number(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

FileText::FileText(const std::string& path) {
  const auto refuse = [&]() { throw DataError(path, fmt::format("cannot be read ({})", std::strerror(errno))); };
  const Descriptor file(path);
  struct stat facts {};
  if (file.number < 0 || ::fstat(file.number, &facts) != 0) refuse();
  if (!S_ISREG(facts.st_mode)) throw DataError(path, "is no regular file");
  text_.resize(static_cast<size_t>(facts.st_size));
  size_t filled = 0;
  while (filled < text_.size()) {
    const ssize_t count = ::read(file.number, text_.data() + filled, text_.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse();
    if (count == 0) break;  // the file shrank meanwhile
    filled += static_cast<size_t>(count);
  }
  text_.resize(filled);
}

}  // namespace timetrial::results
