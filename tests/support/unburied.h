// A process that can be killed and does not end: as one that the kernel holds in a call (a disk or
// a mount that hangs), or whose core it still writes. Here a tracer has not taken note of its death
// yet, and until then its parent hears nothing of it.
#pragma once

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "shared/base/unique_fd.h"

namespace ringmaster::test {

class Unburied {
 public:
  explicit Unburied(pid_t pid) : pid_(pid) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) return;
    tracer_ = ::fork();
    if (tracer_ == 0) trace(pid, to, from);
    ::close(to[0]);
    ::close(from[1]);
    to_tracer_.reset(to[1]);
    const UniqueFd answer(from[0]);
    char is_held = 0;
    held_ = ::read(answer.get(), &is_held, 1) == 1 && is_held == 1;
  }
  Unburied(const Unburied&) = delete;
  Unburied& operator=(const Unburied&) = delete;
  ~Unburied() {
    if (held_) ::kill(pid_, SIGKILL);
    bury();
  }

  // False where the system lets nobody trace.
  bool is_held() const { return held_; }
  // It has been killed, and ends now. Waits until then.
  void bury() {
    to_tracer_.reset();
    if (tracer_ > 0) ::waitpid(tracer_, nullptr, 0);
    tracer_ = -1;
    held_ = false;
  }

 private:
  // A process of its own, for the test may be the parent.
  [[noreturn]] static void trace(pid_t pid, std::array<int, 2> to, std::array<int, 2> from) {
    ::close(to[1]);
    const char is_held = ::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0 ? 1 : 0;
    char end = 0;
    if (::write(from[1], &is_held, 1) == 1 && is_held == 1) {
      while (::read(to[0], &end, 1) > 0) {
      }
      // It may stop before it dies, for signals that came before.
      for (int status = 0x7f; WIFSTOPPED(status) && ::waitpid(pid, &status, __WALL) == pid;) {
      }
    }
    ::_exit(0);
  }

  const pid_t pid_;
  pid_t tracer_ = -1;
  UniqueFd to_tracer_;
  bool held_ = false;
};

}  // namespace ringmaster::test
