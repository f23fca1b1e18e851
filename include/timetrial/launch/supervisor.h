// Supervisor: processes that this one starts, hands signals on to, waits for and, when one fails, ends.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace timetrial::launch {

struct Program {
  std::string name;                                            // "rank 3", "mpirun": how lines call it
  std::vector<std::string> arguments;                          // [0] is found along PATH
  std::vector<std::pair<std::string, std::string>> variables;  // added to this process's environment
  // Empty: it shares this process's stdout and stderr. Otherwise both are appended to this file, as soon as the file's
  // folder is there; nothing makes that folder here.
  std::string output;
};

struct Exit {
  int code = 0;               // of exit(); 0 when a signal ended it
  int signal = 0;             // that ended it; 0: it exited
  bool by_us = false;         // the supervisor had told it to end
  std::string said = {};      // its lines that begin "timetrial: ", where its output goes to a file
  std::string unplaced = {};  // the last 64 KiB of that output when there never was a folder for the file
  // Failed: not for want of a better result (0, 1), and not because it was asked to end.
  bool failed() const { return signal != 0 || (code >= 2 && code < 128); }
};

struct Supervision {
  std::vector<Program> programs;
  double grace = 40;        // seconds that the others have to end by themselves once one has failed
  double patience = 10;     // seconds from SIGTERM to SIGKILL after that
  int first_interrupt = 0;  // what the first SIGINT, SIGTERM or SIGHUP becomes for the programs; 0: itself
};

struct Endings {
  std::vector<Exit> exits;  // in the order of programs
  int first_failed = -1;    // index of the program that failed first; -1: none
  int interrupt = 0;        // the first signal that this process was sent; 0: none
  // What the whole start ended with: program 0's code when it is not 0; otherwise the worst of the others, where a
  // signal counts as 3. Interrupted programs: 128 + `interrupt`.
  int code() const;
  // "rank 2 (pid 71) was ended by signal 9 (Killed)"; empty when none was.
  std::string deaths;
};

// Starts all programs, each in a process group of its own with an empty stdin, and returns when all have ended. They
// get SIGTERM when this process is killed. SIGINT, SIGTERM and SIGHUP are handed on; the third one kills. When a
// program fails the others have `grace` seconds, then SIGTERM, then SIGKILL. Blocks these signals and SIGCHLD in the
// calling thread meanwhile; call it from the one thread of a process. Throws UserError when a program cannot be
// started, Error when the system is out of pipes or memory; the others are then gone.
Endings supervise(const Supervision& supervision);

// Runs one program to its end; what it prints on stdout. Its stderr is this process's. Throws UserError when it cannot
// be started.
struct Captured {
  int code = 0;  // 128 + signal when one ended it
  std::string output;
};
Captured capture(const std::vector<std::string>& arguments);

}  // namespace timetrial::launch
