// Which backend a request goes to: its hash key, the ring of this generation, and who may take it
// now. Reads shared memory, decides alone; counts the request as in flight at the backend it chose.
#pragma once

#include <array>
#include <cstdint>

#include "shared/base/socket_address.h"
#include "shared/memory/flight_recorder.h"
#include "worker/http/message_head.h"
#include "worker/io/worker_context.h"
#include "worker/proxy/in_flight.h"
#include "worker/proxy/load_bound.h"

namespace ringmaster {

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
  explicit Balancer(WorkerContext& context);

  // Where a request lies on the ring, and by which key: a missing header or cookie falls back to
  // the client's address.
  struct Place {
    std::uint64_t hash;
    RecordedKey key;
  };
  Place locate(const RequestHead& head, const IpAddress& client) const noexcept;
  // With a thousand backends, nothing of what choose() reads is in the caches. These bring it near
  // while other work is done: first what the ring says of a place, then what there is of its owner.
  void prefetch_owner(const Place& place) const noexcept { ring_.prefetch(place.hash); }
  // Returns the owner; kNone: the ring is empty.
  std::uint32_t prefetch_state(const Place& place) const noexcept;

  struct Choice {
    std::uint32_t upstream;  // HashRing::kNone: nobody
    bool overloaded;         // with kNone: some were up, but full
    InFlight in_flight;
  };
  // The first backend from the recorded hash on that is up, not tried yet and below its limit; that
  // has room under hash.balance_factor and takes this key, too, if there is such a one: neither of
  // these two makes a request fail. Recorded: whose key it was, and why others were passed over.
  Choice choose(const TriedUpstreams& tried, RequestRecord& record) noexcept;
  // Whether choose() could find one that is neither `but` nor tried.
  [[gnu::cold]] bool has_other(const TriedUpstreams& tried, std::uint32_t but) const noexcept;
  // Backends that were known when this worker began: others have no numbers here.
  std::uint32_t upstream_count() const noexcept { return in_flight_.size(); }
  // Counts a request in flight that was not chosen here.
  InFlight count(std::uint32_t upstream) noexcept { return in_flight_.count(upstream); }
  // The master changed some backend's state.
  void on_routes_changed() noexcept;

 private:
  // One request's search for a backend, from ring to ring and rule to rule.
  struct Search {
    const TriedUpstreams& tried;
    RequestRecord& record;
    std::uint32_t owner;  // of the key: the first that was asked
    Choice choice;
  };
  enum class Rule : std::uint8_t { kPreferred, kAny };
  template <Rule kRule>
  bool walk(const HashRing& ring, Search& search) noexcept;
  bool take_place(std::uint32_t upstream, InFlight& place) noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  const RoutingTable& table_;
  // Constant after construction: views of shared memory.
  const HashRing ring_;
  const HashRing backups_;
  // Owned.
  InFlightCounts in_flight_;
  LoadBound bound_;
};

}  // namespace ringmaster
