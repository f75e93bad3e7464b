// A worker as the others see it: who it is, how far in its life, that it is alive.
// Slots are handed out by the master before the fork and taken back after the worker was reaped, or
// was killed and does not end.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "shared/memory/limits.h"

namespace ringmaster {

enum class WorkerState : std::uint32_t {
  kFree,      // no process behind the slot
  kStarting,  // forked, not accepting yet
  kServing,
  kDraining,  // listeners closed, answering what is in flight
};

// What the master wants of a worker. Only ever raised; the control channel merely rings.
enum class WorkerOrder : std::uint32_t {
  kServe,
  kHandOver,  // drain; idle connections and tunnels go to another worker instead of being closed
  kDrain,
  kCut,
};

class alignas(kCacheLine) WorkerSlot {
 public:
  // Written by the master: before the fork, and after the worker was reaped.
  void assign(std::uint32_t generation) noexcept {
    generation_.store(generation, std::memory_order_relaxed);
    pid_.store(0, std::memory_order_relaxed);
    cut_requests_.store(0, std::memory_order_relaxed);
    order_.store(0, std::memory_order_relaxed);
    connections_.store(0, std::memory_order_relaxed);
    // release: pairs with the acquire in state(); whoever sees kStarting sees the reset above.
    state_.store(static_cast<std::uint32_t>(WorkerState::kStarting), std::memory_order_release);
  }
  void release() noexcept {
    // release: pairs with the acquire in state(); a slot that is free has no connections.
    connections_.store(0, std::memory_order_relaxed);
    state_.store(static_cast<std::uint32_t>(WorkerState::kFree), std::memory_order_release);
  }
  // By the master, once the worker was killed or its core is being written: it executes nothing any
  // more, but is not buried yet. relaxed: nothing else was written with it.
  void lose() noexcept {
    connections_.store(0, std::memory_order_relaxed);
    state_.store(static_cast<std::uint32_t>(WorkerState::kDraining), std::memory_order_relaxed);
  }
  // By both, with the same value: whoever of the two is killed, the other has said it. relaxed: a
  // number by itself.
  void set_pid(std::int32_t pid) noexcept { pid_.store(pid, std::memory_order_relaxed); }

  // relaxed: the ring of the control channel, a system call, comes after it.
  void give(WorkerOrder order) noexcept {
    order_.store(static_cast<std::uint32_t>(order), std::memory_order_relaxed);
  }

  // Written by the worker alone.
  void announce(WorkerState state) noexcept {
    // release: pairs with the acquire in state(); all set-up is visible before kServing.
    state_.store(static_cast<std::uint32_t>(state), std::memory_order_release);
  }
  // relaxed: the master only looks whether it changed.
  void beat() noexcept {
    heartbeat_.store(heartbeat_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // relaxed: a hint that balances accepts; being late by a few connections does no harm.
  void set_connections(std::uint32_t n) noexcept {
    connections_.store(n, std::memory_order_relaxed);
  }
  // relaxed: read by the master after waitpid(), which orders everything the worker did before it.
  void count_cut(std::uint32_t n) noexcept {
    cut_requests_.store(cut_requests_.load(std::memory_order_relaxed) + n,
                        std::memory_order_relaxed);
  }

  // Read by anyone. relaxed, but for the state: each is a number by itself.
  WorkerState state() const noexcept {
    return static_cast<WorkerState>(state_.load(std::memory_order_acquire));
  }
  WorkerOrder order() const noexcept {
    return static_cast<WorkerOrder>(order_.load(std::memory_order_relaxed));
  }
  std::uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }
  std::int32_t pid() const noexcept { return pid_.load(std::memory_order_relaxed); }
  std::uint64_t heartbeat() const noexcept { return heartbeat_.load(std::memory_order_relaxed); }
  std::uint32_t connections() const noexcept {
    return connections_.load(std::memory_order_relaxed);
  }
  std::uint32_t cut_requests() const noexcept {
    return cut_requests_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> heartbeat_{0};   // by the worker: turns of its beat, never back
  std::atomic<std::uint32_t> state_{0};       // by the worker; by the master before and after it
  std::atomic<std::uint32_t> generation_{0};  // by the master
  std::atomic<std::uint32_t> order_{0};       // by the master
  std::atomic<std::int32_t> pid_{0};          // by the master and the worker, right after the fork
  // By the worker, and by the master before and after it: clients it has open, and what was in
  // flight when it had to go.
  std::atomic<std::uint32_t> connections_{0};
  std::atomic<std::uint32_t> cut_requests_{0};
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<std::int32_t>::is_always_lock_free);
static_assert(std::is_standard_layout_v<WorkerSlot>);
static_assert(std::is_trivially_destructible_v<WorkerSlot>);
static_assert(sizeof(WorkerSlot) == kCacheLine);

}  // namespace ringmaster
