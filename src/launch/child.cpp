// fork, the few calls that are allowed there, exec; the reason of a failure comes back through a pipe.
// SPDX-License-Identifier: Apache-2.0
#include "launch/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "launch/exec.h"
#include "timetrial/base/error.h"

namespace timetrial::launch {

namespace {

// Closes what is still its own.
class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) throw Error(fmt::format("no pipe can be made ({})", std::strerror(errno)));
  }
  ~Pipe() {
    close_writer();
    if (ends_[0] >= 0) close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  int take_reader() { return std::exchange(ends_[0], -1); }
  void close_writer() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& variables) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  for (const auto& [name, value] : variables) all[name] = value;
  std::vector<std::string> entries;
  for (const auto& [name, value] : all) entries.push_back(name + "=" + value);
  return entries;
}

struct Exec {
  char* const* arguments;
  char* const* environment;
  int output, failure;  // ends of pipes; output -1: none
  bool errors_too;
  pid_t parent;
};

// Between fork and exec: only calls that a signal handler may make.
[[noreturn]] void become_child(const Exec& exec) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != exec.parent) _exit(128 + SIGTERM);  // it went before the line above
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  if (exec.output >= 0) {
    dup2(exec.output, STDOUT_FILENO);
    if (exec.errors_too) dup2(exec.output, STDERR_FILENO);
  }
  execvpe(exec.arguments[0], exec.arguments, exec.environment);
  const int why = errno;
  [[maybe_unused]] const ssize_t told = write(exec.failure, &why, sizeof why);
  _exit(127);
}

}  // namespace

Child start_child(const std::vector<std::string>& arguments,
                  const std::vector<std::pair<std::string, std::string>>& variables, Speaks speaks) {
  const std::vector<std::string> environment = environment_with(variables);
  const std::vector<char*> argument_pointers = pointers_to(arguments), environment_pointers = pointers_to(environment);
  Pipe failure;
  std::optional<Pipe> output;
  if (speaks != Speaks::freely) output.emplace();
  const Exec exec{.arguments = argument_pointers.data(),
                  .environment = environment_pointers.data(),
                  .output = output ? output->writer() : -1,
                  .failure = failure.writer(),
                  .errors_too = speaks == Speaks::into_pipe,
                  .parent = getpid()};
  const pid_t pid = fork();
  if (pid == 0) become_child(exec);
  if (pid < 0) throw cannot_start(arguments[0], errno);
  failure.close_writer();
  int why = 0;
  if (read(failure.reader(), &why, sizeof why) == static_cast<ssize_t>(sizeof why)) {
    waitpid(pid, nullptr, 0);
    throw cannot_start(arguments[0], why);
  }
  return {.pid = pid, .pipe = output ? output->take_reader() : -1};
}

}  // namespace timetrial::launch
