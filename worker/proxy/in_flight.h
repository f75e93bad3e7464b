// What a worker has in flight, backend by backend, and the guard that counts one request from the
// choice of its backend to its end. Writer of the gauges: this worker. Invariant: the worker's sum
// is that of the backends that are in use, so that shares of it are shares of live load.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "worker/io/worker_context.h"

namespace ringmaster {

class InFlight;

class InFlightCounts {
 public:
  explicit InFlightCounts(WorkerContext& context);

  // One more at `upstream`.
  InFlight count(std::uint32_t upstream) noexcept;
  // What is in flight at a backend that is not in use is no part of the sum.
  void set_in_use(std::uint32_t upstream, bool in_use) noexcept;

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(counts_.size()); }

 private:
  friend class InFlight;
  struct Count {
    Gauge* here;  // at this backend
    Gauge* sum;   // null while the backend is not in use
  };
  // Borrowed: in shared memory.
  Gauge& sum_;
  // Owned. By upstream; never grows, requests in flight point into it.
  std::vector<Count> counts_;
};

class InFlight {
 public:
  InFlight() noexcept = default;
  explicit InFlight(InFlightCounts::Count& count) noexcept : count_(&count) {
    count.here->add();
    if (count.sum != nullptr) count.sum->add();
  }
  InFlight(InFlight&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  InFlight& operator=(InFlight&& other) noexcept {
    release();
    count_ = std::exchange(other.count_, nullptr);
    return *this;
  }
  ~InFlight() { release(); }
  void release() noexcept {
    if (count_ == nullptr) return;
    count_->here->subtract();
    if (count_->sum != nullptr) count_->sum->subtract();
    count_ = nullptr;
  }

 private:
  InFlightCounts::Count* count_ = nullptr;  // borrowed: the worker's
};

inline InFlight InFlightCounts::count(std::uint32_t upstream) noexcept {
  return InFlight(counts_[upstream]);
}

}  // namespace ringmaster
