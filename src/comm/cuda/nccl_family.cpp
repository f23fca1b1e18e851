// Errors and aborts of all communicators of a rank, and waiting for the library.
// SPDX-License-Identifier: Apache-2.0
#include "comm/cuda/nccl_family.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "comm/patience.h"
#include "timetrial/base/clock.h"
#include "timetrial/comm/communicator.h"

namespace timetrial::comm::cuda {

namespace {

constexpr double kSpin = 50e-6;  // seconds
constexpr auto kPause = std::chrono::microseconds(20);

}  // namespace

Looks::Looks() : started_(monotonic_seconds()) {}

void Looks::pause() const {
  if (monotonic_seconds() - started_ > kSpin) std::this_thread::sleep_for(kPause);
}

NcclFamily::~NcclFamily() {
  if (!handles_.empty()) end("left without parting");
}

void NcclFamily::add(ncclComm_t handle) {
  if (handle != nullptr) handles_.push_back(handle);
}

void NcclFamily::remove(ncclComm_t handle) {
  handles_.erase(std::remove(handles_.begin(), handles_.end(), handle), handles_.end());
}

void NcclFamily::tell(const std::string& why) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (told_.empty()) told_ = why;
  } catch (const std::exception&) {
    // No memory for the text; whoever waits then runs into the deadline.
  }
}

std::string NcclFamily::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

std::string NcclFamily::trouble() const {
  if (std::string why = told(); !why.empty()) return why;
  for (const ncclComm_t handle : handles_) {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(handle, &state);
    if (asked != ncclSuccess) return ncclGetErrorString(asked);
    if (state != ncclSuccess && state != ncclInProgress)
      return fmt::format("{}: {}", ncclGetErrorString(state), ncclGetLastError(handle));
  }
  return {};
}

std::string NcclFamily::end(const std::string& why) {
  tell(why);
  ended_ = true;
  if (handles_.empty()) return told();
  ncclGroupStart();
  for (const ncclComm_t handle : handles_) ncclCommAbort(handle);
  ncclGroupEnd();
  handles_.clear();
  return told();
}

void NcclFamily::await(ncclComm_t handle, ncclResult_t result, const Limit& limit) {
  Patience patience(limit.seconds);
  const auto text = [&](const std::string& why) { return fmt::format("{}: {}", limit.group, why); };
  for (const Looks looks; result == ncclInProgress; looks.pause()) {
    if (const std::string why = told(); !why.empty()) throw CommError(end(why));
    if (patience.over())
      throw LateError(end(
          text(fmt::format("{} was not done within {:.3g} s: another rank did not come", limit.what, limit.seconds))));
    const ncclResult_t asked = ncclCommGetAsyncError(handle, &result);
    if (asked != ncclSuccess) result = asked;
  }
  if (result == ncclSuccess) return;
  const char* words = handle != nullptr ? ncclGetLastError(handle) : "";
  throw CommError(end(text(fmt::format("{}: {} {}", limit.what, ncclGetErrorString(result), words))));
}

}  // namespace timetrial::comm::cuda
