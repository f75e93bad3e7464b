// A library to preload (LD_PRELOAD): counts a process's heap allocations in a file that the test
// has made and named in ALLOCATION_COUNTS. A process that was forked counts anew, in a place of its
// own.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "tests/support/allocations.h"

// What glibc's own names stand for.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

using ringmaster::test::AllocationCounts;

AllocationCounts* counts = nullptr;
AllocationCounts::Process* mine = nullptr;

void claim_place() {
  mine = nullptr;
  for (auto& place : counts->processes) {
    int nobody = 0;
    if (!place.pid.compare_exchange_strong(nobody, ::getpid())) continue;
    mine = &place;
    return;
  }
}

[[gnu::constructor]] void start_counting() {
  const char* path = std::getenv("ALLOCATION_COUNTS");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* memory =
      ::mmap(nullptr, sizeof(AllocationCounts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (memory == MAP_FAILED) return;
  counts = static_cast<AllocationCounts*>(memory);
  claim_place();
  ::pthread_atfork(nullptr, nullptr, claim_place);
}

void count_one() {
  if (mine != nullptr) mine->allocations.fetch_add(1);
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  count_one();
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  count_one();
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) {
  count_one();
  return __libc_realloc(memory, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

}  // extern "C"
