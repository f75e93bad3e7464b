// Processes that the kernel holds. One can be killed and does not end: as one that the kernel holds
// in a call (a disk or a mount that hangs), or whose core it still writes. Here a tracer has not
// taken note of its death yet, and until then its parent hears nothing of it.
#pragma once

#include <fcntl.h>
#include <poll.h>
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

// The next child of a process is held at its birth, as one whose program lies on a mount that
// hangs: it lives and does not begin. After kMostHeld it is let go, that a test may fail and end.
class HeldAtBirth {
 public:
  static constexpr int kMostHeldMs = 5'000;

  explicit HeldAtBirth(pid_t parent) {
    std::array<int, 2> answer{};
    if (::pipe2(answer.data(), O_CLOEXEC) != 0) return;
    tracer_ = ::fork();
    if (tracer_ == 0) trace(parent, answer[1]);
    ::close(answer[1]);
    const UniqueFd from(answer[0]);
    char is_traced = 0;
    traced_ = ::read(from.get(), &is_traced, 1) == 1;
  }
  HeldAtBirth(const HeldAtBirth&) = delete;
  HeldAtBirth& operator=(const HeldAtBirth&) = delete;
  ~HeldAtBirth() {
    if (tracer_ <= 0) return;
    ::kill(tracer_, SIGKILL);  // whom it traced goes on
    ::waitpid(tracer_, nullptr, 0);
  }

  // False where the system lets nobody trace.
  bool is_waiting() const { return traced_; }

 private:
  [[noreturn]] static void trace(pid_t parent, int answer) {
    if (::ptrace(PTRACE_SEIZE, parent, nullptr, PTRACE_O_TRACEFORK) != 0) ::_exit(1);
    if (::write(answer, "t", 1) != 1) ::_exit(1);
    for (int status = 0; ::waitpid(parent, &status, __WALL) == parent && WIFSTOPPED(status);) {
      const int event = status >> 16;
      ::ptrace(PTRACE_CONT, parent, nullptr, event == 0 ? WSTOPSIG(status) : 0);
      if (event == PTRACE_EVENT_FORK) break;
    }
    ::poll(nullptr, 0, kMostHeldMs);
    ::_exit(0);
  }

  pid_t tracer_ = -1;
  bool traced_ = false;
};

}  // namespace ringmaster::test
