// What a run's log says of the time before it was there.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/train/run_log.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "mllog/temporary_folder.h"
#include "timetrial/base/clock.h"
#include "timetrial/mllog/reader.h"

namespace timetrial {
namespace {

TEST(RunLog, InitialisationBeganBeforeTheLogWasMade) {
  const test::TemporaryFolder folder;
  RunConfig config;
  config.output.folder = folder / "run";
  std::filesystem::create_directory(config.output.folder);
  const int64_t began = unix_milliseconds() - 5'000;
  RunLog log(config);
  log.init_start(true, began);
  log.init_stop();
  log.flush();
  const auto records = mllog::read_log(log.path()).records;
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].key, "cache_clear");
  EXPECT_EQ(records[0].time_ms, static_cast<double>(began));
  EXPECT_EQ(records[1].key, "init_start");
  EXPECT_EQ(records[1].time_ms, static_cast<double>(began));
  EXPECT_GE(records[2].time_ms, static_cast<double>(began + 5'000));
}

}  // namespace
}  // namespace timetrial
