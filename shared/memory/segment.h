// The shared segment: one sealed memfd, mapped before the first fork, and its table of contents.
//
//   header | generations | config archive | upstreams | suspicion | master slab | worker slots
//          | metrics slabs | flight recorders | routing areas (table, ring, backup ring each) |
//          token buckets
//
// Everything lies at a fixed offset and nothing points anywhere. Several routing areas, so that a
// new generation is laid out beside those in use. Untouched pages do not exist: the size is address
// space, not memory. Owner: the master creates it; workers inherit the mapping through fork, and
// the master's next image, or its successor after a crash, maps the same file again. No name,
// nothing to clean up.
#pragma once

#include <array>
#include <atomic>
#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/base/unique_fd.h"
#include "shared/memory/config_archive.h"
#include "shared/memory/flight_recorder.h"
#include "shared/memory/hash_ring.h"
#include "shared/memory/limits.h"
#include "shared/memory/master_slab.h"
#include "shared/memory/metrics_slab.h"
#include "shared/memory/routing_table.h"
#include "shared/memory/token_bucket.h"
#include "shared/memory/upstream_state.h"
#include "shared/memory/worker_slot.h"

namespace ringmaster {

// Identifies a segment that this build can use. Constant after creation.
struct alignas(kCacheLine) SegmentHeader {
  std::uint64_t magic;
  std::uint64_t layout;  // a digest of where everything lies and how large it is
  std::uint64_t total_bytes;
  SipKey bucket_seed;
  std::uint64_t created_at_ns;  // CLOCK_MONOTONIC: buckets of an earlier boot would be nonsense
};

// Which generation is in force. Writer: the master; readers: everyone.
struct alignas(kCacheLine) GenerationTable {
  std::atomic<std::uint32_t> current;         // 0 before the first; release/acquire, see accessors
  std::atomic<std::uint32_t> upstream_count;  // entries of the upstream table ever claimed
  std::atomic<std::uint32_t> slots_used;      // worker slots ever handed out: all sums stop there
  // The generation laid out in each routing area, 0 for none. Set before its workers are forked.
  std::array<std::atomic<std::uint32_t>, kRoutingAreas> laid_out;

  // release: pairs with the acquire in in_force(); the routing table is complete before it is
  // named.
  void put_in_force(std::uint32_t generation) noexcept {
    current.store(generation, std::memory_order_release);
  }
  std::uint32_t in_force() const noexcept { return current.load(std::memory_order_acquire); }
};
static_assert(std::is_standard_layout_v<GenerationTable>);

class Segment {
 public:
  // A new segment: zeroed, sealed, header written, random bucket seed.
  static Result<Segment> create();
  // Maps a segment that an earlier master made. Refused, with the reason, if its layout is not
  // ours.
  static Result<Segment> adopt(UniqueFd memfd);
  // The text of the last good config in a segment, also in one that adopt() refuses: it lies at the
  // same place in every layout. Empty where there is none.
  static std::string archived_config(int memfd);

  Segment(Segment&&) = default;
  Segment& operator=(Segment&&) = default;

  int fd() const noexcept { return memfd_.get(); }

  const SegmentHeader& header() const noexcept;
  GenerationTable& generations() const noexcept;
  UpstreamState& upstream(std::uint32_t index) const noexcept;
  // Entries claimed so far: all valid upstream indices are below it.
  std::uint32_t upstream_count() const noexcept;
  // One more than the highest index of a worker slot that was ever handed out.
  std::uint32_t slots_used() const noexcept;
  void use_slot(std::uint32_t index) const noexcept;  // master only
  // Claims an entry for a name that none has: one never used, else the one that has been out of
  // every config for longest and has nothing in flight. Master only. Fails only when kMaxUpstreams
  // names are in use.
  Result<std::uint32_t> add_upstream(std::string_view name) const;
  ConfigArchive& config_archive() const noexcept;
  SuspicionBoard& suspicions() const noexcept;
  MasterSlab& master() const noexcept;
  WorkerSlot& slot(std::uint32_t index) const noexcept;  // index < kMaxWorkerSlots
  MetricsSlab& metrics(std::uint32_t slot) const noexcept;
  FlightRecorder& recorder(std::uint32_t slot) const noexcept;

  // Gives `generation` a routing area of its own: a free one, or that of a generation without
  // living workers. Master only. Fails while kRoutingAreas generations have workers.
  Result<void> claim_routing(std::uint32_t generation) const;
  // A number above that of every generation in force or with living workers. Master only.
  std::uint32_t next_generation() const noexcept;
  // Whether a generation's routing area is still its own.
  bool is_laid_out(std::uint32_t generation) const noexcept;
  // Precondition of these three: is_laid_out(generation).
  RoutingTable& routing(std::uint32_t generation) const noexcept;
  std::byte* ring_memory(std::uint32_t generation, bool backup) const noexcept;
  HashRing ring(std::uint32_t generation, bool backup) const noexcept;
  // Has the pages of [begin, begin + bytes) made at once: a fault for each costs several times as
  // much. Only ever makes what follows faster. `begin` lies on a page, as each part does.
  void populate(std::byte* begin, std::size_t bytes) const noexcept;

  TokenBucketTable buckets(std::uint32_t entries) const noexcept;

  // Sums over all workers: they walk the slots in use.
  std::uint64_t in_flight(std::uint32_t upstream) const noexcept;  // requests at one backend
  std::uint64_t requests_in_flight() const noexcept;               // at all backends in use
  std::uint64_t retries_in_flight() const noexcept;  // those that upstream.retry_budget counts

 private:
  Segment(UniqueFd memfd, boost::interprocess::mapped_region region) noexcept
      : memfd_(std::move(memfd)), region_(std::move(region)) {}
  template <class T>
  T& at(std::size_t offset) const noexcept;
  template <class Count>
  std::uint64_t sum_over_slots(Count&& count) const noexcept;
  bool has_workers(std::uint32_t generation) const noexcept;
  std::size_t routing_area(std::uint32_t generation) const noexcept;
  Result<std::uint32_t> recycle_upstream(std::string_view name) const;

  // Owned.
  UniqueFd memfd_;
  boost::interprocess::mapped_region region_;
};

}  // namespace ringmaster
