// close_aborted: ends the log of a run whose writer is gone, the way the run itself would have.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace timetrial::mllog {

enum class Closing {
  closed,         // by this call
  closed_before,  // it has a run_stop: untouched
  empty,          // it holds no record of a run: untouched
};

// Appends to a log without a run_stop what its run still owed: a warning that says `why`, the ends of an open
// evaluation, block and epoch, and run_stop with status "aborted" and the samples of the last step that was logged.
// Records that are there stay as they are. Throws UserError when the file is not there, cannot be written, or a process
// still writes it (the writer's lock; without locks on that file system the caller must know that it is gone), and
// Error when the disk is full.
Closing close_aborted(const std::string& path, const std::string& why);

}  // namespace timetrial::mllog
