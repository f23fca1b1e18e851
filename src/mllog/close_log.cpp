// Which intervals are open, and their ends in the order of a run.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/mllog/close_log.h"

#include <nlohmann/json.hpp>

#include "timetrial/mllog/reader.h"
#include "timetrial/mllog/writer.h"

namespace timetrial::mllog {

namespace {

// How far a run came by its log.
class Progress final : public LogVisitor {
 public:
  Interest header(const RecordHeader& header) override {
    const std::string_view key = header.key;
    begun_ = begun_ || key == "init_start" || key == "run_start";
    if (key == "run_stop") stopped_ = true;
    if (key == "epoch_start" || key == "epoch_stop") epoch_ = key == "epoch_start";
    if (key == "block_start" || key == "block_stop") block_ = key == "block_start";
    if (key == "eval_start" || key == "eval_stop") evaluation_ = key == "eval_start";
    return key == "tracked_stats" ? Interest::take : Interest::skip;
  }
  void record(Record&& record) override {
    if (!record.metadata.is_object()) return;
    const auto found = record.metadata.find("samples_count");
    if (found != record.metadata.end() && found->is_number()) samples_ = found->get<int64_t>();
  }
  void bad_line(BadLine&&) override {}  // not ours to judge

  bool begun_ = false, stopped_ = false, epoch_ = false, block_ = false, evaluation_ = false;
  int64_t samples_ = 0;
};

}  // namespace

Closing close_aborted(const std::string& path, const std::string& why) {
  Writer writer(path, Writer::Start::append);  // takes the lock before anybody looks
  Progress run;
  scan_log(path, run);
  if (run.stopped_) return Closing::closed_before;
  if (!run.begun_) return Closing::empty;
  const Json at = {{"samples_count", run.samples_}};
  writer.event("timetrial_warning", why);
  if (run.evaluation_) writer.interval_end("eval_stop", nullptr, at);
  if (run.block_) writer.interval_end("block_stop", nullptr, at);
  if (run.epoch_) writer.interval_end("epoch_stop", nullptr, at);
  writer.interval_end("run_stop", nullptr, {{"samples_count", run.samples_}, {"status", "aborted"}});
  writer.flush();
  return Closing::closed;
}

}  // namespace timetrial::mllog
