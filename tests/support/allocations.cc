#include "tests/support/allocations.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

#include "tests/support/places.h"

namespace ringmaster::test {

Allocations::Allocations() {
  const std::string path = dir_.path("allocations");
  write_whole_file(path, std::string(sizeof(AllocationCounts), '\0'));
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  void* memory = ::mmap(nullptr, sizeof(AllocationCounts), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap");
  counts_ = static_cast<AllocationCounts*>(memory);
}

Allocations::~Allocations() {
  ::munmap(counts_, sizeof(AllocationCounts));
}

std::vector<std::string> Allocations::environment() const {
  return {"LD_PRELOAD=" + allocation_counter_library(),
          "ALLOCATION_COUNTS=" + dir_.path("allocations")};
}

std::uint64_t Allocations::of(pid_t pid) const {
  for (const auto& process : counts_->processes) {
    if (process.pid == pid) return process.allocations;
  }
  throw std::runtime_error("nobody counts the allocations of process " + std::to_string(pid));
}

}  // namespace ringmaster::test
