// One loop over signals, pipes and deadlines.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "launch/child.h"
#include "timetrial/base/clock.h"
#include "timetrial/base/error.h"

namespace timetrial::launch {

namespace {

constexpr size_t kKept = 64 << 10;  // bytes of output that wait for a folder
constexpr int kLook = 250;          // milliseconds between two looks at the deadlines
constexpr std::string_view kOwn = "timetrial: ";

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  return set;
}

// Blocks the watched signals in this thread and reads them one by one; the old mask comes back at the end.
class Signals {
 public:
  Signals() {
    const sigset_t set = watched();
    pthread_sigmask(SIG_BLOCK, &set, &before_);
    file_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    TIMETRIAL_CHECK(file_ >= 0, "no signalfd ({})", std::strerror(errno));
  }
  ~Signals() {
    close(file_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int file() const { return file_; }
  // The next signal; 0: none.
  int next() const {
    signalfd_siginfo info{};
    return read(file_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  int file_ = -1;
};

struct Running {
  const Program* program;
  Child child;
  bool alive = true;
  Exit exit = {};
  std::string waiting = {};  // output without a folder yet
  std::string line = {};     // its last one, without an end so far
};

// Takes the whole lines from `text`; those of them that begin as this project's own errors do.
std::string take_own_lines(std::string& text) {
  std::string found;
  size_t begin = 0;
  for (size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    if (text.compare(begin, kOwn.size(), kOwn) == 0) found += text.substr(begin, end + 1 - begin);
  text.erase(0, begin);
  return found;
}

class Watch {
 public:
  explicit Watch(const Supervision& wanted) : wanted_(wanted) {
    running_.reserve(wanted.programs.size());
    for (const Program& program : wanted.programs) {
      try {
        running_.push_back({.program = &program,
                            .child = start_child(program.arguments, program.variables,
                                                 program.output.empty() ? Speaks::freely : Speaks::into_pipe)});
      } catch (...) {
        send(SIGKILL, true);
        for (const Running& one : running_) {
          waitpid(one.child.pid, nullptr, 0);
          if (one.child.pipe >= 0) close(one.child.pipe);
        }
        throw;
      }
    }
  }

  Endings run() {
    while (alive()) {
      wait();
      while (const int number = signals_.next()) {
        if (number != SIGCHLD) interrupt(number);
      }
      for (Running& one : running_) hear(one);
      for (size_t i = 0; i < running_.size(); ++i) reap(i);
      keep_deadlines();
    }
    for (Running& one : running_) {
      while (hear(one)) {
      }
      put_away(one);
      if (!one.line.empty()) say(one, "\n");
      one.exit.unplaced = std::move(one.waiting);
      if (one.child.pipe >= 0) close(one.child.pipe);
      endings_.exits.push_back(one.exit);
    }
    return std::move(endings_);
  }

 private:
  bool alive() const {
    return std::any_of(running_.begin(), running_.end(), [](const Running& one) { return one.alive; });
  }

  void wait() const {
    std::vector<pollfd> files{{.fd = signals_.file(), .events = POLLIN, .revents = 0}};
    for (const Running& one : running_)
      if (one.alive && one.child.pipe >= 0) files.push_back({.fd = one.child.pipe, .events = POLLIN, .revents = 0});
    poll(files.data(), files.size(), kLook);
  }

  // False when there is nothing to hear now.
  bool hear(Running& one) {
    if (one.child.pipe < 0) return false;
    pollfd file{.fd = one.child.pipe, .events = POLLIN, .revents = 0};
    if (poll(&file, 1, 0) <= 0) return false;
    std::array<char, 4096> text{};
    const ssize_t count = read(one.child.pipe, text.data(), text.size());
    if (count <= 0) {  // nobody writes any more
      close(one.child.pipe);
      one.child.pipe = -1;
      return false;
    }
    const std::string heard(text.data(), static_cast<size_t>(count));
    say(one, heard);
    one.waiting += heard;
    put_away(one);
    if (one.waiting.size() > kKept) one.waiting.erase(0, one.waiting.size() - kKept);
    return true;
  }

  static void say(Running& one, const std::string& heard) {
    one.line += heard;
    one.exit.said += take_own_lines(one.line);
    if (one.line.size() > kKept) one.line.resize(kKept);  // its beginning tells whose it is
    if (one.exit.said.size() > kKept) one.exit.said.erase(0, one.exit.said.size() - kKept);
  }

  // Into the program's file, when there is a folder for it.
  static void put_away(Running& one) {
    if (one.waiting.empty()) return;
    const int file = open(one.program->output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) return;
    const ssize_t written = write(file, one.waiting.data(), one.waiting.size());
    close(file);
    if (written > 0) one.waiting.erase(0, static_cast<size_t>(written));
  }

  void reap(size_t index) {
    Running& one = running_[index];
    int status = 0;
    if (!one.alive || waitpid(one.child.pid, &status, WNOHANG) != one.child.pid) return;
    one.alive = false;
    if (WIFSIGNALED(status)) {
      one.exit.signal = WTERMSIG(status);
      endings_.deaths += fmt::format("{}{} (pid {}) was ended by signal {} ({}){}", endings_.deaths.empty() ? "" : "; ",
                                     one.program->name, one.child.pid, one.exit.signal, strsignal(one.exit.signal),
                                     one.exit.by_us ? " of its launcher" : "");
    } else {
      one.exit.code = WEXITSTATUS(status);
    }
    if (!one.exit.failed() || endings_.first_failed >= 0) return;
    endings_.first_failed = static_cast<int>(index);
    if (!end_at_) end_at_ = monotonic_seconds() + wanted_.grace;
  }

  void interrupt(int number) {
    if (endings_.interrupt == 0) endings_.interrupt = number;
    ++interrupts_;
    if (interrupts_ == 1) return send(wanted_.first_interrupt != 0 ? wanted_.first_interrupt : number, false);
    send(interrupts_ == 2 ? number : SIGKILL, true);
  }

  void keep_deadlines() {
    if (!end_at_ || monotonic_seconds() < *end_at_) return;
    send(told_ ? SIGKILL : SIGTERM, true);
    told_ = true;
    end_at_ = monotonic_seconds() + wanted_.patience;
  }

  void send(int number, bool to_end) {
    for (Running& one : running_) {
      if (!one.alive) continue;
      kill(one.child.pid, number);
      one.exit.by_us = one.exit.by_us || to_end;
    }
  }

  const Supervision& wanted_;
  Signals signals_;  // before the first child, so that none ends unnoticed
  std::vector<Running> running_;
  Endings endings_;
  std::optional<double> end_at_;
  bool told_ = false;
  int interrupts_ = 0;
};

int code_of(const Exit& exit) { return exit.signal != 0 ? 3 : exit.code; }

}  // namespace

int Endings::code() const {
  int worst = 0;
  for (const Exit& exit : exits) {
    if (interrupt != 0 && (exit.signal != 0 || exit.code >= 128)) return 128 + interrupt;
    worst = std::max(worst, code_of(exit));
  }
  return exits.empty() || code_of(exits.front()) == 0 ? worst : code_of(exits.front());
}

Endings supervise(const Supervision& supervision) { return Watch(supervision).run(); }

Captured capture(const std::vector<std::string>& arguments) {
  const Child child = start_child(arguments, {}, Speaks::stdout_into_pipe);
  Captured captured;
  std::array<char, 4096> text{};
  for (ssize_t count = 0; (count = read(child.pipe, text.data(), text.size())) != 0;) {
    if (count < 0 && errno != EINTR) break;
    if (count > 0) captured.output.append(text.data(), static_cast<size_t>(count));
  }
  close(child.pipe);
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  captured.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return captured;
}

}  // namespace timetrial::launch
