// The client of every rank, and the server beside it on rank 0.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/comm/control_plane.h"

#include <unistd.h>

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "comm/control_server.h"
#include "comm/dial.h"
#include "comm/patience.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"

namespace timetrial::comm {

namespace {

constexpr double kVerdictMargin = 5;  // seconds that rank 0's answer may take beyond a deadline
constexpr int kClockExchanges = 8;
constexpr double kAwake = 2;  // seconds after a stop in which what this rank sees counts for nothing

ControlSettings completed(ControlSettings settings) {
  if (!settings.wall_clock)
    settings.wall_clock = [] {
      return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    };
  return settings;
}

}  // namespace

struct ControlPlane::Impl {
  explicit Impl(ControlSettings wanted)
      : settings(completed(std::move(wanted))), work(asio::make_work_guard(io)), timer(io) {
    if (settings.rank.rank == 0) server = std::make_unique<ControlServer>(settings);
  }

  void start() {
    connection = connect();
    connection->trust();
    const auto lose = [this](const std::string& why) { lost(why); };
    connection->start(
        [this, lose](const Json& message) {
          try {
            hear(message);
          } catch (const Json::exception&) {
            lose("it sends what is no message");
          }
        },
        lose);
    connection->send({{"t", "hello"},
                      {"run", settings.run_id},
                      {"rank", settings.rank.rank},
                      {"size", settings.rank.size},
                      {"host", host_name()},
                      {"pid", static_cast<int>(getpid())}});
    heard = last_tick = monotonic_seconds();
    thread = std::thread([this] { io.run(); });
    asio::post(io, [this] { tick(); });
    // The server says first who did not come.
    wait_until([this] { return !hosts.empty(); }, settings.init_deadline + kVerdictMargin, "the rendezvous");
  }

  ~Impl() {
    if (thread.joinable()) {
      asio::post(io, [this] {
        stopping = true;  // a tick may be queued already, and would wind the timer up again
        timer.cancel();
        connection->close();
        work.reset();
      });
      thread.join();
    }
    server.reset();
  }

  std::shared_ptr<Connection> connect() {
    Address address = settings.address;
    if (settings.rank.rank == 0) address.host = "127.0.0.1";
    Dialled dialled = dial(io, address, settings.init_deadline);
    if (dialled.socket) return std::make_shared<Connection>(std::move(*dialled.socket));
    throw CommError(fmt::format(
        "rank {} on host {} did not reach rank 0 at {}:{} within {:.3g} s ({}); is rank 0 running, and "
        "does no firewall stand between the hosts?",
        settings.rank.rank, host_name(), address.host, address.port, settings.init_deadline, dialled.failure));
  }

  void hear(const Json& message) {
    heard = monotonic_seconds();
    const std::string kind = message.value("t", "");
    const std::lock_guard lock(mutex);
    if (kind == "welcome") {
      hosts = message.at("hosts").get<std::vector<std::string>>();
    } else if (kind == "gathered") {
      std::vector<std::string>& texts = gathered[message.at("number").get<int64_t>()];
      for (const Json& text : message.at("texts"))
        texts.emplace_back(text.get_binary().begin(), text.get_binary().end());
    } else if (kind == "pulse") {
      const double now = settings.wall_clock(), sent = message.at("sent").get<double>();
      ++cost.pulses;
      if (now >= sent && now - sent < quickest) {
        quickest = now - sent;
        offset = message.at("clock").get<double>() - (now + sent) / 2;
      }
      ++exchanges;
    } else if (kind == "ask") {
      asked = message.at("number").get<int64_t>();
      asio::post(io, [this] { send_pulse(); });
    } else if (kind == "over") {
      const std::string why = message.at("why").get<std::string>();
      if (why.empty()) {
        done = true;
      } else {
        end(why);
      }
    }
    changed.notify_all();
  }

  // With the mutex held.
  void end(const std::string& why) {
    if (!verdict.empty() || done) return;
    verdict = why;
    changed.notify_all();
    if (over) asio::post(io, [say = std::exchange(over, nullptr), why] { say(why); });
  }

  void lost(const std::string& why) {
    const std::lock_guard lock(mutex);
    closed = true;
    changed.notify_all();
    // A rank that was stopped has missed what rank 0 said, and is the last to tell who is to blame.
    const double now = monotonic_seconds();
    const bool absent = now - last_tick > 4 * settings.pulse || now - awoke < kAwake;
    lost_rank_zero = lost_rank_zero || (verdict.empty() && !done && !absent);
    end(fmt::format("rank 0 on host {} ended without a word (its connection: {}); rank {} was in {}",
                    hosts.empty() ? settings.address.host : hosts.front(), why, settings.rank.rank,
                    text_of(activity())));
  }

  void tick() {
    const double now = monotonic_seconds();
    const double stood_still = std::max(0.0, now - last_tick - 2 * settings.pulse);
    heard += stood_still;
    if (stood_still > 2 * settings.pulse) awoke = now;
    last_tick = now;
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    {
      const std::lock_guard lock(mutex);
      if (now - heard >= settings.silence && verdict.empty() && !done) {
        lost_rank_zero = true;
        end(
            fmt::format("rank 0 on host {} has been silent for {:.3g} s: it is stopped, or its host hangs; rank {} was "
                        "in {}",
                        hosts.empty() ? settings.address.host : hosts.front(), now - heard, settings.rank.rank,
                        text_of(activity())));
      }
      cost.cpu_seconds = static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
    send_pulse();
    timer.expires_after(duration_of(settings.pulse));
    timer.async_wait([this](asio::error_code failure) {
      if (!failure && !stopping) tick();
    });
  }

  void send_pulse() {
    connection->send(
        {{"t", "pulse"}, {"sent", settings.wall_clock()}, {"activity", to_json(activity())}, {"asked", asked}});
  }

  Activity activity() {
    const std::lock_guard lock(watch_mutex);
    return watched ? watched() : Activity{};
  }

  void send(Json message) {
    asio::post(io, [this, message = std::move(message)] { connection->send(message); });
  }

  // Returns when `ready`; throws with the verdict.
  void wait_until(const std::function<bool()>& ready, double seconds, const std::string& what) {
    std::unique_lock lock(mutex);
    const double until = monotonic_seconds() + seconds;
    while (!ready()) {
      if (!verdict.empty()) throw CommError(verdict);
      if (done)
        throw CommError(fmt::format("rank 0 left the run while rank {} waited for {}", settings.rank.rank, what));
      if (monotonic_seconds() > until) {
        end(fmt::format("rank {} on host {} waited in vain for {}, {:.3g} s long", settings.rank.rank, host_name(),
                        what, seconds));
      }
      changed.wait_for(lock, std::chrono::milliseconds(250));
    }
  }

  ControlSettings settings;
  std::unique_ptr<ControlServer> server;
  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  asio::steady_timer timer;
  std::shared_ptr<Connection> connection;
  double heard = 0, last_tick = 0, awoke = -kAwake;  // of the io thread
  bool stopping = false;                             // of the io thread
  int64_t asked = 0;                                 // of the io thread: the number of rank 0's last question

  std::mutex watch_mutex;
  std::function<Activity()> watched;

  std::mutex mutex;  // of all that follows
  std::condition_variable changed;
  std::vector<std::string> hosts;
  std::map<int64_t, std::vector<std::string>> gathered;
  int64_t numbers = 0, exchanges = 0;
  double quickest = std::numeric_limits<double>::infinity(), offset = 0;
  bool done = false, lost_rank_zero = false, closed = false;
  std::string verdict;
  std::function<void(const std::string&)> over;
  ControlCost cost;
  std::thread thread;
};

ControlPlane::ControlPlane(ControlSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {
  impl_->start();
}
ControlPlane::~ControlPlane() = default;

int ControlPlane::rank() const { return impl_->settings.rank.rank; }
int ControlPlane::size() const { return impl_->settings.rank.size; }
const std::vector<std::string>& ControlPlane::hosts() const { return impl_->hosts; }

int ControlPlane::local_rank() const {
  const auto& hosts = impl_->hosts;
  const auto mine = hosts.begin() + impl_->settings.rank.rank;
  return static_cast<int>(std::count(hosts.begin(), mine, *mine));
}

int ControlPlane::local_size() const {
  const auto& hosts = impl_->hosts;
  return static_cast<int>(
      std::count(hosts.begin(), hosts.end(), hosts[static_cast<size_t>(impl_->settings.rank.rank)]));
}

std::vector<std::string> ControlPlane::all_gather(const std::string& mine, const std::string& purpose,
                                                  double deadline) {
  if (mine.size() > Connection::kMostTexts)
    throw Error(fmt::format("the text of rank {} for the exchange \"{}\" is larger than a message may be ({} bytes)",
                            rank(), purpose, Connection::kMost));
  const int64_t number = [&] {
    const std::lock_guard lock(impl_->mutex);
    return impl_->numbers++;
  }();
  impl_->send({{"t", "gather"},
               {"number", number},
               {"purpose", purpose},
               {"text", Json::binary({mine.begin(), mine.end()})},
               {"deadline", deadline}});
  impl_->wait_until([&] { return impl_->gathered.contains(number); }, deadline + kVerdictMargin,
                    fmt::format("the exchange \"{}\"", purpose));
  const std::lock_guard lock(impl_->mutex);
  return std::move(impl_->gathered.extract(number).mapped());
}

double ControlPlane::clock_offset() {
  const int64_t before = [&] {
    const std::lock_guard lock(impl_->mutex);
    return impl_->exchanges;
  }();
  for (int i = 0; i < kClockExchanges; ++i) {
    asio::post(impl_->io, [this] { impl_->send_pulse(); });
    impl_->wait_until([&] { return impl_->exchanges > before + i; }, kVerdictMargin, "a comparison of clocks");
  }
  const std::lock_guard lock(impl_->mutex);
  return impl_->offset;
}

void ControlPlane::watch(std::function<Activity()> activity) {
  const std::lock_guard lock(impl_->watch_mutex);
  impl_->watched = std::move(activity);
}

void ControlPlane::when_over(std::function<void(const std::string&)> over) {
  const std::lock_guard lock(impl_->mutex);
  impl_->over = std::move(over);
  if (!impl_->verdict.empty() && impl_->over)
    asio::post(impl_->io, [say = std::exchange(impl_->over, nullptr), why = impl_->verdict] { say(why); });
}

std::string ControlPlane::verdict() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->verdict;
}

bool ControlPlane::lost_rank_zero() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->lost_rank_zero;
}

std::string ControlPlane::fail(const std::string& why, Blame blame) noexcept {
  try {
    impl_->send(
        {{"t", "fail"}, {"why", why}, {"blame", static_cast<int>(blame)}, {"activity", to_json(impl_->activity())}});
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait_for(lock, duration_of(kVerdictMargin), [&] { return !impl_->verdict.empty() || impl_->done; });
    return impl_->verdict.empty() ? why : impl_->verdict;
  } catch (const std::exception&) {
    return "out of memory while ending the run";  // the closing connection says the rest
  }
}

void ControlPlane::outlast_rank_zero(double seconds) noexcept {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, duration_of(seconds), [&] { return impl_->closed; });
}

void ControlPlane::leave() noexcept {
  try {
    if (impl_->server) impl_->server->expect_leave();
    impl_->send({{"t", "bye"}});
    const std::lock_guard lock(impl_->mutex);
    impl_->done = impl_->done || impl_->verdict.empty();
  } catch (const std::exception&) {
    return;  // the others then take the closing connection for a failure, which no memory is
  }
}

ControlCost ControlPlane::cost() const {
  const std::lock_guard lock(impl_->mutex);
  ControlCost cost = impl_->cost;
  if (impl_->server) cost.cpu_seconds += impl_->server->cpu_seconds();
  cost.round_trip = std::isfinite(impl_->quickest) ? impl_->quickest : 0;
  return cost;
}

}  // namespace timetrial::comm
