// ControlServer: rank 0's side of the control plane. It seats the ranks, collects their texts, and judges.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "comm/activity.h"
#include "comm/connection.h"
#include "timetrial/comm/control_plane.h"

namespace timetrial::comm {

// Messages have a kind under "t". From a rank: hello {run, rank, size, host, pid}, gather {number, purpose, text,
// deadline}, pulse {sent, activity, asked}, fail {why, blame}, bye. To a rank: welcome {hosts}, gathered {number,
// texts}, pulse {sent, clock}, ask {number}, over {why} ("" when the run is done). A pulse that answers an ask, and
// those after it, carry its number.
class ControlServer {
 public:
  // Listens, and serves on a thread of its own until destruction. Throws UserError when it cannot listen.
  explicit ControlServer(const ControlSettings& settings);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Rank 0 is about to leave in order: its end is not to be told as a failure. Thread-safe.
  void expect_leave() { leaves_ = true; }
  double cpu_seconds() const { return cpu_seconds_; }

 private:
  struct Seat {
    std::shared_ptr<Connection> connection;
    Member member;
    double heard = 0;  // monotonic seconds of the last message
    bool left = false;
  };
  struct Round {
    std::string purpose;
    std::map<int, std::vector<uint8_t>> texts;
    size_t bytes = 0;                  // of the message to all
    double deadline = 0, seconds = 0;  // the first comer's, monotonic; what it allowed
  };
  // Why the run ends, while rank 0 still waits for what everybody does, or for a better reason.
  struct Finding {
    std::string why;
    std::set<int> guilty;
    Blame blame;
    double until;           // monotonic
    std::set<int> unheard;  // who has not said since what it does
  };

  void accept();
  void accept_later();
  void make_room();
  void turn_away(const std::shared_ptr<Connection>& stranger, const std::string& why);
  void greet(const std::shared_ptr<Connection>& stranger, const Json& hello);
  void seat(const std::shared_ptr<Connection>& connection, Member member);
  void hear(int rank, const Json& message);
  void gather(int rank, const Json& message);
  void answer_pulse(Seat& seat, const Json& message);
  void lost(int rank, const std::string& why);
  void tick();
  void check_start(double now);
  void check_rounds(double now);
  void check_silence(double now);
  void check_strangers(double now);
  void find(const std::string& why, const std::set<int>& guilty, Blame blame);
  void decide();
  void judge(const std::string& why, std::set<int> guilty);
  void broadcast(const Json& message);
  std::vector<int> ranks_without(const std::map<int, std::vector<uint8_t>>& present) const;
  std::vector<Member> members_but(const std::set<int>& out) const;

  ControlSettings settings_;
  double started_, last_tick_;
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer timer_, decision_, retry_;
  std::map<std::shared_ptr<Connection>, double> strangers_;  // who has not said hello, and since when
  std::map<Connection*, int> ranks_;
  std::map<int, Seat> seats_;
  std::map<int64_t, Round> rounds_;
  std::optional<Finding> finding_;
  int64_t asks_ = 0;  // times that all were asked what they do
  std::string verdict_;
  bool seated_ = false;
  std::atomic<bool> leaves_{false};
  std::atomic<double> cpu_seconds_{0};
  std::thread thread_;
};

}  // namespace timetrial::comm
