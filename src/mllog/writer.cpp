// Writer: a queue filled by the callers and a thread that formats and writes one record at a time.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/writer.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "mllog/json_text.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"

namespace timetrial::mllog {

namespace {

struct Pending {
  int64_t time_ms;
  std::string_view event_type;  // a literal
  std::string key, file;
  uint32_t line;
  Json value, metadata;
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string format_record(const Pending& record) {
  std::string line = fmt::format("{}{{\"namespace\": \"\", \"time_ms\": {}, \"event_type\": \"{}\", \"key\": ", kToken,
                                 record.time_ms, record.event_type);
  append_json_string(line, record.key);
  line += ", \"value\": ";
  append_json(line, record.value);
  line += ", \"metadata\": {\"file\": ";
  const auto file = record.metadata.find("file");
  append_json(line, file != record.metadata.end() ? *file : Json(record.file));
  line += ", \"lineno\": ";
  const auto number = record.metadata.find("lineno");
  append_json(line, number != record.metadata.end() ? *number : Json(record.line));
  for (const auto& [name, value] : record.metadata.items()) {
    if (name == "file" || name == "lineno") continue;
    line += ", ";
    append_json_string(line, name);
    line += ": ";
    append_json(line, value);
  }
  line += "}}\n";
  return line;
}

void refuse_text(std::string_view key, std::string_view text) {
  for (const std::string_view word : kReservedWords) {
    if (text.find(word) == std::string_view::npos) continue;
    throw UserError(fmt::format(
        "log record \"{}\": \"{}\" holds \"{}\", which MLPerf's result readers take for the record of that name; "
        "choose another name or text",
        key, text, word));
  }
  if (text.find(kToken) != std::string_view::npos)
    throw UserError(
        fmt::format("log record \"{}\": \"{}\" holds \"{}\", which starts a record; take it out", key, text, kToken));
}

void refuse_texts_of(std::string_view key, const Json& value) {
  if (value.is_string()) {
    refuse_text(key, value.get_ref<const std::string&>());
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      refuse_text(key, name);
      refuse_texts_of(key, member);
    }
  } else if (value.is_array()) {
    for (const Json& member : value) refuse_texts_of(key, member);
  }
}

}  // namespace

struct Writer::State {
  std::string path;
  int file = -1;
  off_t whole = 0;  // bytes of whole records in the file; of the thread
  std::thread thread;
  std::mutex mutex;
  std::condition_variable wake, progress;
  // Guarded by mutex.
  std::deque<Pending> queue;
  uint64_t queued = 0, done = 0;
  int64_t latest_ms = 0;  // the last record's stamp
  std::string failure;    // empty: none
  bool failure_thrown = false;
  bool stop = false;

  void run();
  struct Event {
    std::string_view type, key;
    std::optional<int64_t> time_ms = std::nullopt;  // none: now
  };
  void add(const Event& event, const Json& value, const Json& metadata, std::source_location where);
  void throw_failure();  // with the mutex held
};

// Returns what the system said, or an empty text.
static std::string write_whole(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return std::strerror(errno);
    }
    text.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

void Writer::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [&] { return stop || !queue.empty(); });
    if (queue.empty()) return;
    std::deque<Pending> batch = std::move(queue);
    queue.clear();
    const bool broken = !failure.empty();
    lock.unlock();
    std::string reason;
    for (const Pending& record : batch) {
      // After a failure nothing more is written: a log with a hole would look whole.
      if (broken || !reason.empty()) break;
      try {
        const std::string line = format_record(record);
        reason = write_whole(file, line);
        if (reason.empty()) whole += static_cast<off_t>(line.size());
      } catch (const std::exception& error) {
        reason = error.what();
      }
      // Taking half a line back needs no room on the disk; should it fail, the reader names the line.
      if (!reason.empty() && ::ftruncate(file, whole) != 0) reason += ", and its last line is cut";
    }
    lock.lock();
    if (!reason.empty())
      failure =
          fmt::format("{}: cannot write the log ({}); free the disk or choose another output folder", path, reason);
    done += batch.size();
    progress.notify_all();
  }
}

void Writer::State::throw_failure() {
  if (failure.empty()) return;
  failure_thrown = true;
  throw Error(failure);
}

void Writer::State::add(const Event& event, const Json& value, const Json& metadata, std::source_location where) {
  const std::string_view key = event.key;
  TIMETRIAL_CHECK(metadata.is_object(), "metadata of log record \"{}\" is no object: {}", key, metadata.dump());
  const std::string_view source = base_name(where.file_name());
  if (std::find(std::begin(kReservedWords), std::end(kReservedWords), key) == std::end(kReservedWords))
    refuse_text(key, key);
  refuse_text(key, source);
  refuse_texts_of(key, value);
  refuse_texts_of(key, metadata);
  Pending record{0, event.type, std::string(key), std::string(source), where.line(), value, metadata};
  {
    const std::lock_guard lock(mutex);
    throw_failure();
    // Taken under the lock: file order is the order of the stamps.
    record.time_ms = event.time_ms.value_or(unix_milliseconds());
    TIMETRIAL_CHECK(!event.time_ms || record.time_ms >= latest_ms, "log record \"{}\" of {} ms after one of {} ms", key,
                    record.time_ms, latest_ms);
    latest_ms = record.time_ms;
    queue.push_back(std::move(record));
    ++queued;
  }
  wake.notify_one();
}

namespace {

int open_new(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
  if (file >= 0) {
    ::flock(file, LOCK_EX | LOCK_NB);  // nobody can hold it yet; a file system without locks is as good as before
    return file;
  }
  if (errno == EEXIST)
    throw UserError(
        fmt::format("{}: exists already, and logs are never overwritten; choose another output folder", path));
  throw UserError(
      fmt::format("{}: cannot make the log ({}); its folder must exist and be writable", path, std::strerror(errno)));
}

// Bytes up to the last line feed.
off_t whole_lines(int file, off_t size) {
  char c = 0;
  while (size > 0 && ::pread(file, &c, 1, size - 1) == 1 && c != '\n') --size;
  return size;
}

int open_old(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC);
  if (file < 0) throw UserError(fmt::format("{}: cannot go on with the log ({})", path, std::strerror(errno)));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(file);
    throw UserError(fmt::format("{}: another process still writes this log; end it first", path));
  }
  return file;
}

}  // namespace

Writer::Writer(const std::string& path, Start start) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->file = start == Start::make ? open_new(path) : open_old(path);
  if (start == Start::append) {
    const off_t size = ::lseek(state_->file, 0, SEEK_END);
    state_->whole = whole_lines(state_->file, size);
    if (state_->whole < size && ::ftruncate(state_->file, state_->whole) != 0) {
      ::close(state_->file);
      throw UserError(fmt::format("{}: half a line at its end cannot be taken away ({})", path, std::strerror(errno)));
    }
  }
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Writer::~Writer() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
  ::close(state_->file);
  if (!state_->failure.empty() && !state_->failure_thrown) {
    try {
      spdlog::error("{}", state_->failure);
    } catch (...) {  // nowhere left to say it
    }
  }
}

void Writer::event(std::string_view key, const Json& value, const Json& metadata, std::source_location where) {
  state_->add({"POINT_IN_TIME", key}, value, metadata, where);
}
void Writer::event(std::string_view key, const Json& value, std::source_location where) {
  state_->add({"POINT_IN_TIME", key}, value, Json::object(), where);
}
void Writer::interval_start(std::string_view key, const Json& value, const Json& metadata, std::source_location where) {
  state_->add({"INTERVAL_START", key}, value, metadata, where);
}
void Writer::interval_start(std::string_view key, const Json& value, std::source_location where) {
  state_->add({"INTERVAL_START", key}, value, Json::object(), where);
}
void Writer::event_at(int64_t time_ms, std::string_view key, const Json& value, std::source_location where) {
  state_->add({"POINT_IN_TIME", key, time_ms}, value, Json::object(), where);
}
void Writer::interval_start_at(int64_t time_ms, std::string_view key, const Json& value, std::source_location where) {
  state_->add({"INTERVAL_START", key, time_ms}, value, Json::object(), where);
}
void Writer::interval_end(std::string_view key, const Json& value, const Json& metadata, std::source_location where) {
  state_->add({"INTERVAL_END", key}, value, metadata, where);
}
void Writer::interval_end(std::string_view key, const Json& value, std::source_location where) {
  state_->add({"INTERVAL_END", key}, value, Json::object(), where);
}

void Writer::flush() {
  std::unique_lock lock(state_->mutex);
  const uint64_t target = state_->queued;
  state_->progress.wait(lock, [&] { return state_->done >= target; });
  state_->throw_failure();
}

const std::string& Writer::path() const { return state_->path; }

}  // namespace timetrial::mllog
