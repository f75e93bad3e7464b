#include "tests/support/syscall_counter.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace ringmaster::test {
namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

}  // namespace

SyscallCounter::SyscallCounter(pid_t pid) : pid_(pid) {
  std::atomic<int> started = -1;
  tracer_ = std::thread([this, &started] { trace(started); });
  started.wait(-1);
  if (started == 0) return;
  tracer_.join();
  throw std::system_error(started, std::generic_category(), "ptrace");
}

SyscallCounter::~SyscallCounter() {
  if (tracer_.joinable()) stop();
}

std::map<long, std::uint64_t> SyscallCounter::stop() {
  stopping_ = true;
  // Wakes it from a system call that waits: the tracer sees a stop, and detaches there.
  ::kill(pid_, SIGCONT);
  tracer_.join();
  return counts_;
}

void SyscallCounter::trace(std::atomic<int>& started) {
  const bool seized = ::ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACESYSGOOD) == 0 &&
                      ::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) == 0;
  started = seized ? 0 : errno;
  started.notify_one();
  if (!seized) return;
  for (int status = 0; ::waitpid(pid_, &status, __WALL) == pid_ && WIFSTOPPED(status);) {
    if (stopping_) {
      ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
      return;
    }
    int signal = 0;
    if (WSTOPSIG(status) == kSyscallStop) {
      __ptrace_syscall_info info;
      ::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY) ++counts_[static_cast<long>(info.entry.nr)];
    } else if (status >> 16 == 0) {
      signal = WSTOPSIG(status);  // its own: goes on to it
    }
    ::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal);
  }
}

}  // namespace ringmaster::test
