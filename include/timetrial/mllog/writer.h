// Writer: puts MLPerf log records into a file without making the caller wait for the disk.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <source_location>
#include <string>
#include <string_view>

#include "timetrial/base/json.h"

namespace timetrial::mllog {

// One record per line (rules digest 1.1):
//   :::MLLOG {"namespace": "", "time_ms": 1, "event_type": "POINT_IN_TIME", "key": "seed", "value": 7, "metadata":
//   {"file": "trainer.cpp", "lineno": 12, ...}}
// A call takes the time stamp (Unix milliseconds) and queues the record; a thread of the Writer formats it and hands it
// to the operating system in one write, in the order of the calls. A killed process therefore leaves whole lines; it
// may lose records of its last moments that flush() had not confirmed. The file is not synced: a machine that loses
// power may lose more. All members may be called from any thread, except construction and destruction.
//
// Numbers print in the shortest form that reads back as the same double. NaN and the infinities print as NaN, Infinity
// and -Infinity, which Python's json module and read_log accept. Other text is ASCII, escaped as Python does.
//
// Result readers of MLPerf search whole lines for a few words (kReservedWords), so a record that holds one of them
// anywhere but as its own key is refused with UserError naming the word; so is the record token itself.
//
// As long as a Writer lives it holds an advisory lock (flock) on its file, where the file system has such locks.
class Writer {
 public:
  // make: the file, not its folder, must not be there yet. append: goes on with a log whose writer is gone; half a line
  // at its end is taken away first.
  enum class Start { make, append };
  // Throws UserError if the file exists (make), is not there or belongs to a writer that still lives (append), or
  // cannot be opened.
  explicit Writer(const std::string& path, Start start = Start::make);
  // Writes what is queued. Reports a write failure that no call has thrown yet to the program's log; never throws.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // event: POINT_IN_TIME; interval_start: INTERVAL_START, key by convention "..._start"; interval_end: INTERVAL_END,
  // "..._stop". `metadata` is an object; its fields "file" and "lineno" replace those of `where`. All throw Error when
  // an earlier record could not be written (one line with the file and the system's reason), and from then on; the file
  // then ends with the last whole record.
  void event(std::string_view key, const Json& value, const Json& metadata,
             std::source_location where = std::source_location::current());
  void event(std::string_view key, const Json& value, std::source_location where = std::source_location::current());
  void interval_start(std::string_view key, const Json& value, const Json& metadata,
                      std::source_location where = std::source_location::current());
  void interval_start(std::string_view key, const Json& value,
                      std::source_location where = std::source_location::current());
  // What happened at `time_ms` (Unix milliseconds), before there was a log to write it to. Such records stand at a
  // log's head: a stamp before that of a record already there is a bug.
  void event_at(int64_t time_ms, std::string_view key, const Json& value,
                std::source_location where = std::source_location::current());
  void interval_start_at(int64_t time_ms, std::string_view key, const Json& value,
                         std::source_location where = std::source_location::current());
  void interval_end(std::string_view key, const Json& value, const Json& metadata,
                    std::source_location where = std::source_location::current());
  void interval_end(std::string_view key, const Json& value,
                    std::source_location where = std::source_location::current());

  // Returns when every record queued before has been handed to the operating system. Throws Error as above.
  void flush();

  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Words that MLPerf's convergence checker looks for anywhere in a line (rules digest 3.1).
inline constexpr std::string_view kReservedWords[] = {"global_batch_size", "submission_benchmark", "eval_accuracy",
                                                      "eval_error"};

// What stands before the JSON object of every record, with its trailing space.
inline constexpr std::string_view kToken = ":::MLLOG ";

}  // namespace timetrial::mllog
