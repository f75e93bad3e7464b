// Which backend a request goes to: its hash key, the ring of this generation, and who may take it
// now. Reads shared memory, decides alone; counts the request as in flight at the backend it chose.
#pragma once

#include <array>
#include <cstdint>

#include "shared/base/socket_address.h"
#include "shared/memory/flight_recorder.h"
#include "worker/http/message_head.h"
#include "worker/io/worker_context.h"

namespace ringmaster {

// A request in flight at a backend, from the choice to its end.
class InFlight {
 public:
  InFlight() noexcept = default;
  // Takes over a count that was already made.
  explicit InFlight(Gauge& gauge) noexcept : gauge_(&gauge) {}
  InFlight(InFlight&& other) noexcept : gauge_(std::exchange(other.gauge_, nullptr)) {}
  InFlight& operator=(InFlight&& other) noexcept {
    release();
    gauge_ = std::exchange(other.gauge_, nullptr);
    return *this;
  }
  ~InFlight() { release(); }
  void release() noexcept {
    if (gauge_ != nullptr) std::exchange(gauge_, nullptr)->subtract();
  }

 private:
  Gauge* gauge_ = nullptr;
};

// The backends that have already failed a request.
class TriedUpstreams {
 public:
  void add(std::uint32_t upstream) noexcept {
    if (size_ < members_.size()) members_[size_++] = upstream;
  }
  bool has(std::uint32_t upstream) const noexcept {
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (members_[i] == upstream) return true;
    }
    return false;
  }
  bool is_empty() const noexcept { return size_ == 0; }
  bool is_full() const noexcept { return size_ == members_.size(); }

 private:
  std::array<std::uint32_t, 16> members_;
  std::uint32_t size_ = 0;
};

class Balancer {
 public:
  explicit Balancer(WorkerContext& context) noexcept;

  // Where a request lies on the ring. A missing header or cookie falls back to the client's
  // address. Recorded: the key and what it hashes to.
  void locate(const RequestHead& head, const IpAddress& client,
              RequestRecord& record) const noexcept;

  struct Choice {
    std::uint32_t upstream;  // HashRing::kNone: nobody
    bool overloaded;         // with kNone: some were up, but full
    InFlight in_flight;
  };
  // The first backend from the recorded hash on that is up, not tried yet and below its limit.
  // Recorded: whose key it was, and why others were passed over.
  Choice choose(const TriedUpstreams& tried, RequestRecord& record) noexcept;

 private:
  std::uint64_t hash_of(const RequestHead& head, const IpAddress& client,
                        RecordedKey& used) const noexcept;
  bool take_place(std::uint32_t upstream, std::uint32_t limit) noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  const RoutingTable& table_;
  // Constant after construction: views of shared memory.
  const HashRing ring_;
  const HashRing backups_;
};

}  // namespace ringmaster
