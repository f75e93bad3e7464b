// How many requests may be on a retry at a time (upstream.retry_budget): a share of all requests in
// flight, of all workers together, so that backends in trouble are not asked for ever more. Only a
// retry that may load a live backend twice needs a permit; it is held until its answer begins: a
// long one is no retry any more.
#pragma once

#include <cstdint>
#include <utility>

#include "worker/io/worker_context.h"

namespace ringmaster {

class RetryPermit {
 public:
  RetryPermit() noexcept = default;
  explicit RetryPermit(Gauge& taken) noexcept : taken_(&taken) { taken.add(); }
  RetryPermit(RetryPermit&& other) noexcept : taken_(std::exchange(other.taken_, nullptr)) {}
  RetryPermit& operator=(RetryPermit&& other) noexcept {
    release();
    taken_ = std::exchange(other.taken_, nullptr);
    return *this;
  }
  ~RetryPermit() { release(); }
  void release() noexcept {
    if (taken_ != nullptr) std::exchange(taken_, nullptr)->subtract();
  }
  explicit operator bool() const noexcept { return taken_ != nullptr; }

 private:
  Gauge* taken_ = nullptr;  // borrowed: this worker's, in shared memory
};

class RetryBudget {
 public:
  // So many are always allowed: a share of few requests would be none.
  static constexpr std::uint64_t kLeast = 3;

  explicit RetryBudget(WorkerContext& context) noexcept : context_(context) {}

  // Empty: the budget is spent.
  RetryPermit ask() noexcept;

 private:
  // Borrowed: the worker's.
  WorkerContext& context_;
};

}  // namespace ringmaster
