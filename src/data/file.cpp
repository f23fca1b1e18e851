// Positioned reads and whole-or-nothing outputs over POSIX files.
// SPDX-License-Identifier: Apache-2.0
#include "data/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "timetrial/base/error.h"

namespace timetrial {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

std::string reason() { return std::strerror(errno); }

bool exists(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0)
    throw DataError(path_, fmt::format("cannot be opened ({}); correct the name or prepare the file", reason()));
  struct stat status;
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const std::string why = known ? "not a regular file" : reason();
    ::close(fd_);
    throw DataError(path_, fmt::format("cannot be used ({}); give a regular file", why));
  }
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(fd_); }

size_t InputFile::read_up_to(int64_t offset, void* to, size_t count) const {
  size_t done = 0;
  while (done < count) {
    const ssize_t got = ::pread(fd_, static_cast<char*>(to) + done, count - done,
                                static_cast<off_t>(offset + static_cast<int64_t>(done)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw DataError(path_, fmt::format("cannot be read at byte {} ({}); check the file system and its disk",
                                         offset + static_cast<int64_t>(done), reason()));
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void InputFile::read(int64_t offset, void* to, size_t count) const {
  const size_t got = read_up_to(offset, to, count);
  if (got == count) return;
  throw DataError(path_, fmt::format("shrank while in use: it had {} bytes when it was opened and ends at byte {} now; "
                                     "leave the files of a running job alone, then restore it and start again",
                                     size_, offset + static_cast<int64_t>(got)));
}

OutputFile::OutputFile(const std::string& path) : path_(path), partial_(path + ".partial") {
  if (exists(path_)) throw DataError(path_, "exists already; remove it or choose another output prefix");
  fd_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) throw DataError(partial_, fmt::format("cannot be created ({}); choose a writable folder", reason()));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const bool busy = errno == EWOULDBLOCK;
    const std::string why = reason();
    ::close(fd_);
    throw DataError(partial_,
                    busy ? std::string("another process is writing it; wait for it or choose another output prefix")
                         : fmt::format("cannot be locked ({}); choose another folder", why));
  }
  if (::ftruncate(fd_, 0) != 0) {
    const std::string why = reason();
    ::close(fd_);
    throw DataError(partial_, fmt::format("cannot be emptied ({}); choose a writable folder", why));
  }
  buffer_.reserve(kBufferBytes);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!published_) ::unlink(partial_.c_str());
}

void OutputFile::append(const void* data, size_t count) {
  const char* from = static_cast<const char*>(data);
  size_ += static_cast<int64_t>(count);
  while (count > 0) {
    const size_t part = std::min(count, kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), from, from + part);
    from += part;
    count -= part;
    if (buffer_.size() == kBufferBytes) flush();
  }
}

void OutputFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t put = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      throw DataError(partial_, fmt::format("cannot be written ({}); free space or choose another folder", reason()));
    done += static_cast<size_t>(put);
  }
  buffer_.clear();
}

void OutputFile::close() {
  if (fd_ < 0) return;
  flush();
  const bool synced = ::fsync(fd_) == 0;
  const std::string why = reason();
  const bool closed = ::close(fd_) == 0;
  fd_ = -1;
  if (!synced || !closed) {
    throw DataError(partial_, fmt::format("cannot be completed ({}); free space or choose another folder", why));
  }
}

void OutputFile::publish() {
  close();
  if (exists(path_)) throw DataError(path_, "appeared while it was being prepared; choose another output prefix");
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    throw DataError(path_, fmt::format("cannot be put in place ({}); choose another folder", reason()));
  }
  published_ = true;
}

}  // namespace timetrial
