// A real child process: started in a group of its own, its output kept in a file, signalled, waited
// for with a deadline, and dead with all its descendants when the object goes, even if the test
// crashes.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/wait.h"

namespace ringmaster::test {

// How a process ended. As it is by default: not at all, for as long as anybody waited.
struct Exit {
  int code = -1;   // -1: by a signal
  int signal = 0;  // 0: by itself
  friend bool operator==(const Exit&, const Exit&) = default;
};
void PrintTo(const Exit& exit, std::ostream* out);

class Process {
 public:
  // `environment`: NAME=value, added to the test's own. Throws std::system_error.
  explicit Process(std::vector<std::string> argv, std::vector<std::string> environment = {});
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  // Kills the whole group and reaps it, orphans too.
  ~Process();

  pid_t pid() const { return pid_; }
  // SIGSTOP: returns when it stands still.
  void signal(int number) const;
  // Nothing if it still runs after `patience`.
  std::optional<Exit> wait_exit(milliseconds patience = kPatience);
  // Direct children that are alive (zombies are not).
  std::vector<pid_t> children() const;
  // True once no process of the group is left.
  bool is_group_gone();

  std::string output() const;  // stdout
  std::string log() const;     // stderr

 private:
  void start(std::vector<std::string>& argv, std::vector<std::string>& environment);
  void reap_orphans();

  TempDir dir_;
  pid_t pid_ = -1;
  std::optional<Exit> exit_;
};

// Runs a command to its end. One that does not come to it within `patience` is killed with all its
// descendants, and fails the test.
struct Finished {
  Exit exit;
  std::string output;
  std::string log;
};
Finished run(std::vector<std::string> argv, std::vector<std::string> environment = {},
             milliseconds patience = kPatience);

// Its direct children, also those that are dead and not yet buried.
std::vector<pid_t> children_of(pid_t pid);
bool is_alive(pid_t pid);
bool are_gone(const std::vector<pid_t>& pids);
// By SIGSTOP, and does not run any more.
bool is_stopped(pid_t pid);
// Resident memory of a process, in bytes; 0 if it is gone.
std::size_t resident_bytes(pid_t pid);

}  // namespace ringmaster::test
