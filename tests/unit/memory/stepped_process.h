// A process run instruction by instruction, to try out what happens when it is paused or killed at
// each of them.
#pragma once

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>

namespace ringmaster::test {

class SteppedProcess {
 public:
  // Stands just before `body`.
  template <class Body>
  explicit SteppedProcess(const Body& body) : pid_(::fork()) {
    if (pid_ == 0) {
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
      ::kill(::getpid(), SIGSTOP);
      body();
      ::_exit(0);
    }
    wait();
  }
  ~SteppedProcess() {
    if (!is_running_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  SteppedProcess(const SteppedProcess&) = delete;
  SteppedProcess& operator=(const SteppedProcess&) = delete;

  // False where the system lets nobody trace.
  static bool is_possible() {
    SteppedProcess process([] {});
    return process.is_running_ && process.step();
  }
  // Whether the next instruction is a 16-byte compare-and-swap: lock cmpxchg16b, f0 48 0f c7.
  bool is_before_swap() const {
    user_regs_struct registers{};
    if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) return false;
    const long code = ::ptrace(PTRACE_PEEKTEXT, pid_, registers.rip, nullptr);
    return (static_cast<std::uint64_t>(code) & 0xfffffff8) == 0xc70f48f0;
  }
  // Executes one instruction. False once the process is no more.
  bool step() { return go_on(PTRACE_SINGLESTEP); }
  // As many, or to its end.
  void step(int instructions) {
    while (instructions-- > 0 && step()) {
    }
  }
  void finish() {
    while (go_on(PTRACE_CONT)) {
    }
  }

 private:
  bool go_on(__ptrace_request how) {
    if (is_running_ && ::ptrace(how, pid_, nullptr, nullptr) == 0) wait();
    return is_running_;
  }
  void wait() {
    int status = 0;
    is_running_ = ::waitpid(pid_, &status, 0) == pid_ && WIFSTOPPED(status);
  }

  pid_t pid_;
  bool is_running_ = false;
};

}  // namespace ringmaster::test
