// Memory that a test shares with processes it forks, and a way to run a piece of the test in them:
// what lies in shared memory is meant for processes, and threads would hide half the mistakes.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace ringmaster::test {

// Zeroed, page-aligned, and the same for this process and all that it forks later.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes, int fd = -1) : bytes_(bytes) {
    const int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (data_ == MAP_FAILED) throw std::bad_alloc();
  }
  ~SharedMemory() { ::munmap(data_, bytes_); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  std::size_t bytes_;
  void* data_;
};

// One object in such memory. T is destroyed with it, so children leave by _exit.
template <class T>
class Shared {
 public:
  Shared() : memory_(sizeof(T)), object_(new (memory_.data()) T{}) {}
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }

 private:
  SharedMemory memory_;
  T* object_;
};

// Lets nobody pass before all have come; may be used any number of times.
struct Barrier {
  std::atomic<std::uint32_t> arrived{0};

  // seq_cst by default: what was done before is seen by all after it; nothing here is worth less.
  void wait(std::uint32_t processes) {
    const std::uint32_t ticket = arrived.fetch_add(1);
    const std::uint32_t all = (ticket / processes + 1) * processes;
    // The cores may be fewer than the processes: give way after a short while.
    for (int spins = 0; static_cast<std::int32_t>(arrived.load() - all) < 0; ++spins) {
      if (spins > 200) ::sched_yield();
    }
  }
};

// Runs `body` in a child; its failed expectations fail the test through the exit status.
template <class Body>
pid_t fork_child(const Body& body) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  body();
  ::_exit(::testing::Test::HasFailure() ? 1 : 0);
}

// Runs body(0) … body(count - 1), each in a process of its own, and waits for all of them.
template <class Body>
void in_processes(std::uint32_t count, const Body& body) {
  std::vector<pid_t> children;
  for (std::uint32_t i = 0; i < count; ++i) {
    children.push_back(fork_child([&] { body(i); }));
    ASSERT_GT(children.back(), 0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  }
}

}  // namespace ringmaster::test
