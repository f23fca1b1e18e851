// Seats, rounds of texts, heartbeats, and the one verdict.
// SPDX-License-Identifier: Apache-2.0
#include "comm/control_server.h"

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "comm/listen.h"
#include "comm/patience.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/identity.h"

namespace timetrial::comm {

namespace {

// When a collective gave up, its cause (a connection that closes, an exception on its way) may be a moment behind.
constexpr double kGrace = 1.5;
// For everybody to say what it does; less than launchers leave a rank between its first and its last signal.
constexpr double kAnswer = 0.3;

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Until a connection is accepted again where one could not be, most likely for want of a file.
constexpr std::chrono::milliseconds kAcceptAgain{200};

Json over(const std::string& why) { return {{"t", "over"}, {"why", why}}; }

template <class T>
T field(const Json& message, const char* key, T otherwise) {
  const auto found = message.find(key);
  if (found == message.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return found->is_string() ? found->get<std::string>() : otherwise;
  } else {
    return found->is_number() ? found->get<T>() : otherwise;
  }
}

}  // namespace

ControlServer::ControlServer(const ControlSettings& settings)
    : settings_(settings),
      started_(monotonic_seconds()),
      last_tick_(started_),
      acceptor_(listen_for_ranks(io_, settings)),
      timer_(io_),
      decision_(io_),
      retry_(io_) {
  asio::post(io_, [this] {
    accept();
    tick();
  });
  thread_ = std::thread([this] { io_.run(); });
}

ControlServer::~ControlServer() {
  asio::post(io_, [this] {
    asio::error_code ignored;
    acceptor_.close(ignored);
    timer_.cancel();
    decision_.cancel();
    retry_.cancel();
    const auto own = seats_.find(0);
    if (own != seats_.end() && !own->second.left && !leaves_) lost(0, "closed by itself");
    if (finding_) decide();
    if (verdict_.empty()) broadcast(over(""));
    for (auto& [rank, seat] : seats_) seat.connection->close();
    for (const auto& [stranger, since] : strangers_) stranger->close();
  });
  thread_.join();
}

void ControlServer::accept() {
  acceptor_.async_accept([this](asio::error_code failure, asio::ip::tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (failure) return accept_later();
    make_room();
    const auto stranger = std::make_shared<Connection>(std::move(socket));
    strangers_[stranger] = monotonic_seconds();
    const std::weak_ptr<Connection> weak = stranger;  // it holds these functions, so they must not hold it
    stranger->start(
        [this, weak](const Json& message) {
          const auto connection = weak.lock();
          const auto known = ranks_.find(connection.get());
          known != ranks_.end() ? hear(known->second, message) : greet(connection, message);
        },
        [this, weak](const std::string& why) {
          const auto connection = weak.lock();
          const auto known = ranks_.find(connection.get());
          known != ranks_.end() ? lost(known->second, why) : void(strangers_.erase(connection));
        });
    accept();
  });
}

void ControlServer::accept_later() {
  retry_.expires_after(kAcceptAgain);
  retry_.async_wait([this](asio::error_code failure) {
    if (!failure && acceptor_.is_open()) accept();
  });
}

// Ranks that are still to come may all be strangers at once; who is one too many takes the place of the oldest.
void ControlServer::make_room() {
  const size_t expected = static_cast<size_t>(settings_.rank.size) - seats_.size();
  if (strangers_.size() < expected + kStrangers) return;
  const auto oldest = std::min_element(strangers_.begin(), strangers_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
  oldest->first->close();
  strangers_.erase(oldest);
}

void ControlServer::turn_away(const std::shared_ptr<Connection>& stranger, const std::string& why) {
  stranger->send(over(why));
  stranger->close();
  strangers_.erase(stranger);
}

// A stranger of another run is turned away; one of this run that does not fit in ends it.
void ControlServer::greet(const std::shared_ptr<Connection>& stranger, const Json& hello) {
  if (field<std::string>(hello, "t", "") != "hello" || field<std::string>(hello, "run", "") != settings_.run_id)
    return turn_away(stranger, fmt::format("{}:{} on host {} belongs to another run; choose another port with "
                                           "TIMETRIAL_RENDEZVOUS=host:port",
                                           settings_.address.host, settings_.address.port, host_name()));
  const Member member{.rank = field(hello, "rank", -1),
                      .host = field<std::string>(hello, "host", "?"),
                      .pid = field(hello, "pid", 0),
                      .activity = {}};
  const int size = field(hello, "size", 0);
  std::string wrong;
  if (size != settings_.rank.size || member.rank < 0 || member.rank >= size) {
    wrong = fmt::format("{} says that there are {} ranks, rank 0 on host {} says {}: they were not started together",
                        name_of(member), size, host_name(), settings_.rank.size);
  } else if (const auto other = seats_.find(member.rank); other != seats_.end()) {
    wrong = fmt::format(
        "two processes say that they are rank {}: pid {} on host {} and pid {} on host {}; give each its own rank",
        member.rank, other->second.member.pid, other->second.member.host, member.pid, member.host);
  }
  if (!wrong.empty()) {
    judge(wrong, {});
    return turn_away(stranger, verdict_);
  }
  seat(stranger, member);
}

void ControlServer::seat(const std::shared_ptr<Connection>& connection, Member member) {
  connection->trust();
  const int rank = member.rank;
  seats_[rank] = {.connection = connection, .member = std::move(member), .heard = monotonic_seconds()};
  strangers_.erase(connection);
  ranks_[connection.get()] = rank;
  if (!verdict_.empty()) return connection->send(over(verdict_));
  if (static_cast<int>(seats_.size()) < settings_.rank.size) return;
  seated_ = true;
  Json hosts = Json::array();
  for (const auto& [number, seat] : seats_) hosts.push_back(seat.member.host);
  broadcast({{"t", "welcome"}, {"hosts", hosts}});
}

void ControlServer::hear(int rank, const Json& message) {
  Seat& seat = seats_.at(rank);
  seat.heard = monotonic_seconds();
  const auto kind = field<std::string>(message, "t", "");
  if (kind == "pulse") {
    answer_pulse(seat, message);
  } else if (kind == "gather") {
    gather(rank, message);
  } else if (kind == "fail") {
    seat.member.activity = activity_from(message.value("activity", Json()));
    const auto why = field<std::string>(message, "why", "no reason given");
    const auto blame = static_cast<Blame>(field(message, "blame", static_cast<int>(Blame::own)));
    if (blame == Blame::own) {
      find(fmt::format("{} failed in {}: {}", name_of(seat.member), text_of(seat.member.activity), why), {rank}, blame);
    } else {
      find(fmt::format("{} (seen by {})", why, name_of(seat.member)), {}, blame);
    }
  } else if (kind == "bye") {
    seat.left = true;
  }
}

void ControlServer::answer_pulse(Seat& seat, const Json& message) {
  if (const auto activity = message.find("activity"); activity != message.end())
    seat.member.activity = activity_from(*activity);
  const bool answers = finding_ && field<int64_t>(message, "asked", 0) == asks_;
  if (answers && finding_->unheard.erase(seat.member.rank) > 0 && finding_->unheard.empty() &&
      finding_->blame == Blame::own)
    asio::post(io_, [this] { decide(); });
  seat.connection->send({{"t", "pulse"}, {"sent", message.value("sent", Json())}, {"clock", settings_.wall_clock()}});
}

void ControlServer::gather(int rank, const Json& message) {
  const auto number = field<int64_t>(message, "number", -1);
  const auto purpose = field<std::string>(message, "purpose", "");
  Round& round = rounds_[number];
  if (round.texts.empty()) {
    round.purpose = purpose;
    round.seconds = field(message, "deadline", 0.0);
    round.deadline = monotonic_seconds() + round.seconds;
  }
  if (round.purpose != purpose)
    return judge(
        fmt::format("{} exchanges \"{}\" where {} exchanges \"{}\" (number {})", name_of(seats_.at(rank).member),
                    purpose, name_of(seats_.at(round.texts.begin()->first).member), round.purpose, number),
        {rank});
  const auto text = message.find("text");
  if (text == message.end() || !text->is_binary())
    return judge(fmt::format("{} sends no text with an exchange", name_of(seats_.at(rank).member)), {rank});
  round.texts[rank] = text->get_binary();
  round.bytes += round.texts[rank].size() + Connection::kTextHead;
  if (round.bytes > Connection::kMostTexts)
    return judge(fmt::format("the exchange \"{}\" is larger than a message may be ({} bytes) with {} of {} texts",
                             purpose, Connection::kMost, round.texts.size(), settings_.rank.size),
                 {});
  if (static_cast<int>(round.texts.size()) < settings_.rank.size) return;
  Json texts = Json::array();
  for (auto& [from, bytes] : round.texts) texts.push_back(Json::binary(std::move(bytes)));
  rounds_.erase(number);
  broadcast({{"t", "gathered"}, {"number", number}, {"texts", std::move(texts)}});
}

void ControlServer::lost(int rank, const std::string& why) {
  Seat& seat = seats_.at(rank);
  if (seat.left || (rank == 0 && leaves_)) return;
  seat.left = true;
  if (finding_) finding_->unheard.erase(rank);
  find(fmt::format("{} ended without a word in {} (its connection: {})", name_of(seat.member),
                   text_of(seat.member.activity), why),
       {rank}, Blame::own);
}

void ControlServer::tick() {
  const double now = monotonic_seconds();
  // This process stood still itself: nobody else is to blame for that time.
  const double stood_still = std::max(0.0, now - last_tick_ - 2 * settings_.pulse);
  for (auto& [rank, seat] : seats_) seat.heard += stood_still;
  for (auto& [number, round] : rounds_) round.deadline += stood_still;
  for (auto& [stranger, since] : strangers_) since += stood_still;
  started_ += stood_still;
  last_tick_ = now;
  check_strangers(now);
  if (verdict_.empty()) {
    check_silence(now);
    check_rounds(now);
    check_start(now);
    if (finding_ && now >= finding_->until) decide();
  }
  cpu_seconds_ = thread_seconds();
  timer_.expires_after(duration_of(settings_.pulse));
  timer_.async_wait([this](asio::error_code failure) {
    if (!failure && acceptor_.is_open()) tick();
  });
}

void ControlServer::check_start(double now) {
  if (seated_ || now - started_ < settings_.init_deadline) return;
  std::vector<int> missing;
  for (int rank = 0; rank < settings_.rank.size; ++rank)
    if (!seats_.contains(rank)) missing.push_back(rank);
  judge(fmt::format("{} of {} did not come to the rendezvous {}:{} within {:.3g} s", ranks_text(missing),
                    settings_.rank.size, settings_.address.host, settings_.address.port, settings_.init_deadline),
        {});
}

void ControlServer::check_rounds(double now) {
  for (const auto& [number, round] : rounds_) {
    if (now < round.deadline) continue;
    const std::vector<int> missing = ranks_without(round.texts);
    const Member& first = seats_.at(missing.front()).member;
    return judge(fmt::format("{} did not come to the exchange \"{}\" within {:.3g} s; {} is in {}", ranks_text(missing),
                             round.purpose, round.seconds, name_of(first), text_of(first.activity)),
                 {missing.begin(), missing.end()});
  }
}

void ControlServer::check_silence(double now) {
  if (!seated_) return;
  for (const auto& [rank, seat] : seats_) {
    // A collective that gave up needs no full silence: a rank that missed several heartbeats is the likely cause.
    const bool suspected =
        finding_ && finding_->blame != Blame::own && now >= finding_->until && now - seat.heard > 4 * settings_.pulse;
    if (seat.left || (now - seat.heard < settings_.silence && !suspected)) continue;
    return judge(fmt::format("{} has been silent for {:.3g} s in {}: it is stopped, or its host hangs",
                             name_of(seat.member), now - seat.heard, text_of(seat.member.activity)),
                 {rank});
  }
}

// Who connects and says nothing holds a file and a place.
void ControlServer::check_strangers(double now) {
  std::erase_if(strangers_, [&](const auto& stranger) {
    if (now - stranger.second < settings_.silence) return false;
    stranger.first->close();
    return true;
  });
}

// A rank's own failure outweighs what others saw of it; the first one counts.
void ControlServer::find(const std::string& why, const std::set<int>& guilty, Blame blame) {
  if (!verdict_.empty() || (finding_ && finding_->blame <= blame)) return;
  if (!seated_) return judge(why, guilty);
  const double wait = blame == Blame::own ? kAnswer : kGrace;
  finding_ = {.why = why, .guilty = guilty, .blame = blame, .until = monotonic_seconds() + wait, .unheard = {}};
  for (const auto& [rank, seat] : seats_)
    if (!seat.left && !guilty.contains(rank)) finding_->unheard.insert(rank);
  broadcast({{"t", "ask"}, {"number", ++asks_}});
  if (blame != Blame::own) return;  // the next tick after the grace decides, when silence can be told too
  decision_.expires_after(duration_of(wait));
  decision_.async_wait([this](asio::error_code failure) {
    if (!failure && acceptor_.is_open()) decide();
  });
}

void ControlServer::decide() {
  if (!verdict_.empty()) return;
  if (finding_->blame != Blame::late) return judge(finding_->why, finding_->guilty);
  const std::vector<Member> all = members_but({});
  const std::vector<int> odd = out_of_step(all);
  if (odd.empty()) return judge(finding_->why + others_text(all), {});
  const Member& first = seats_.at(odd.front()).member;
  judge(fmt::format("{} {} out of step: {} was in {}", ranks_text(odd), odd.size() == 1 ? "is" : "are", name_of(first),
                    text_of(first.activity)),
        {odd.begin(), odd.end()});
}

void ControlServer::judge(const std::string& why, std::set<int> guilty) {
  if (!verdict_.empty()) return;
  for (const auto& [rank, seat] : seats_)
    if (seat.left) guilty.insert(rank);
  verdict_ = why + (seated_ && !guilty.empty() ? others_text(members_but(guilty)) : "");
  broadcast(over(verdict_));
}

void ControlServer::broadcast(const Json& message) {
  const Connection::Frame frame = Connection::frame_of(message);
  for (auto& [rank, seat] : seats_) seat.connection->send_frame(frame);
}

std::vector<int> ControlServer::ranks_without(const std::map<int, std::vector<uint8_t>>& present) const {
  std::vector<int> missing;
  for (const auto& [rank, seat] : seats_)
    if (!present.contains(rank)) missing.push_back(rank);
  return missing;
}

std::vector<Member> ControlServer::members_but(const std::set<int>& out) const {
  std::vector<Member> members;
  for (const auto& [rank, seat] : seats_)
    if (!out.contains(rank)) members.push_back(seat.member);
  return members;
}

}  // namespace timetrial::comm
