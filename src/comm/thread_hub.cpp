// Gates of a meeting between threads: everybody arrives, calls are compared, everybody leaves.
// SPDX-License-Identifier: Apache-2.0
#include "comm/thread_hub.h"

#include <algorithm>

#include "comm/agreement.h"
#include "comm/patience.h"

namespace timetrial::comm {

namespace {

// What rank `to` gets from rank `from` is what that one sends.
std::string uneven_pieces(const std::string& group, const std::vector<Call>& calls) {
  for (size_t from = 0; from < calls.size(); ++from) {
    for (size_t to = 0; to < calls.size(); ++to) {
      const int64_t sent = calls[from].in_counts[to], expected = calls[to].out_counts[from];
      if (sent != expected)
        return fmt::format("{}: in {} rank {} sends {} elements to rank {}, which expects {}", group,
                           text_of(calls[from]), from, sent, to, expected);
    }
  }
  return "";
}

std::string misfit(const std::string& group, const std::vector<Call>& calls) {
  std::vector<Signature> signatures;
  for (const Call& call : calls) signatures.push_back(signature_of(call));
  std::string text =
      disagreement(group, signatures, [&](int rank) { return std::string(calls[static_cast<size_t>(rank)].purpose); });
  if (text.empty() && calls.front().kind == Collective::all_to_all) text = uneven_pieces(group, calls);
  return text;
}

}  // namespace

void ThreadWorld::fail(const std::string& why) {
  {
    const std::lock_guard lock(mutex);
    if (!failure) failure = why;
  }
  changed.notify_all();
}

ThreadHub::ThreadHub(std::shared_ptr<ThreadWorld> world, std::string name, int size)
    : world_(std::move(world)),
      name_(std::move(name)),
      calls_(static_cast<size_t>(size)),
      last_(static_cast<size_t>(size)),
      here_(static_cast<size_t>(size)) {}

std::string ThreadHub::missing_text(Gate gate, double deadline) const {
  std::vector<int> missing, waiting;
  for (int rank = 0; rank < size(); ++rank) (here_[static_cast<size_t>(rank)] ? waiting : missing).push_back(rank);
  const std::string awaited = text_of(calls_[static_cast<size_t>(waiting.front())]);
  const std::string& last = last_[static_cast<size_t>(missing.front())];
  return fmt::format(
      "{}: {} did not {} {} within {:.3g} s; {} waited; {}", name_, ranks_text(missing),
      gate == Gate::meeting ? "come to" : "finish", awaited, deadline, ranks_text(waiting),
      last.empty() ? "it made no call before" : fmt::format("the last call of rank {} was {}", missing.front(), last));
}

void ThreadHub::wait(Gate gate, int rank, double deadline, std::unique_lock<std::mutex> lock) {
  const auto fail = [&](std::string why) {
    if (!world_->failure) world_->failure = std::move(why);
    world_->changed.notify_all();
  };
  if (world_->failure) throw CommError(*world_->failure);
  const int64_t round = round_;
  here_[static_cast<size_t>(rank)] = true;
  if (++arrived_ == size()) {
    std::string wrong;
    if (gate == Gate::meeting) wrong = misfit(name_, calls_);
    if (!wrong.empty()) {
      fail(wrong);
      throw CommError(wrong);
    }
    arrived_ = 0;
    std::fill(here_.begin(), here_.end(), false);
    ++round_;
    lock.unlock();
    world_->changed.notify_all();
    return;
  }
  Patience patience(deadline);
  while (round_ == round && !world_->failure) {
    world_->changed.wait_for(lock, patience.slice());
    if (round_ == round && !world_->failure && patience.over()) fail(missing_text(gate, deadline));
  }
  if (round_ == round) throw CommError(*world_->failure);
}

void ThreadHub::meet(int rank, const Call& call, double deadline) {
  std::unique_lock lock(world_->mutex);
  calls_[static_cast<size_t>(rank)] = call;
  wait(Gate::meeting, rank, deadline, std::move(lock));
}

void ThreadHub::part(int rank, double deadline) {
  std::unique_lock lock(world_->mutex);
  last_[static_cast<size_t>(rank)] = text_of(calls_[static_cast<size_t>(rank)]);
  wait(Gate::parting, rank, deadline, std::move(lock));
}

std::shared_ptr<ThreadHub> ThreadHub::part_of(const Call& call, const std::string& name, int size) {
  const std::lock_guard lock(world_->mutex);
  std::shared_ptr<ThreadHub>& part = parts_[{call.sequence, call.root}];
  if (!part) part = std::make_shared<ThreadHub>(world_, name, size);
  return part;
}

}  // namespace timetrial::comm
