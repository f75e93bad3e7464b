// How often the processes of a program under test allocate memory: the test's side of
// allocation_counter.cc, and the layout of the file between them.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/files.h"

namespace ringmaster::test {

struct AllocationCounts {
  struct Process {
    std::atomic<int> pid;  // 0: free
    std::atomic<std::uint64_t> allocations;
  };
  std::array<Process, 256> processes;
};

class Allocations {
 public:
  Allocations();
  ~Allocations();
  Allocations(const Allocations&) = delete;
  Allocations& operator=(const Allocations&) = delete;

  // What a program must be started with to be counted.
  std::vector<std::string> environment() const;
  // Of that process so far. Throws std::runtime_error if it is not counted.
  std::uint64_t of(pid_t pid) const;

 private:
  TempDir dir_;
  AllocationCounts* counts_;
};

}  // namespace ringmaster::test
