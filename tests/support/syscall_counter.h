// Counts the system calls of one running process of this test's, by tracing it; everything else
// about the process stays as it is, but slower.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <thread>

namespace ringmaster::test {

class SyscallCounter {
 public:
  // Counts from now on. Throws std::system_error where tracing is not permitted.
  explicit SyscallCounter(pid_t pid);
  ~SyscallCounter();
  SyscallCounter(const SyscallCounter&) = delete;
  SyscallCounter& operator=(const SyscallCounter&) = delete;

  // Lets the process go; call numbers (SYS_read, …) to how often they were made.
  std::map<long, std::uint64_t> stop();

 private:
  void trace(std::atomic<int>& started);

  const pid_t pid_;
  std::atomic<bool> stopping_ = false;
  std::map<long, std::uint64_t> counts_;
  std::thread tracer_;  // what one thread traces no other may touch
};

}  // namespace ringmaster::test
