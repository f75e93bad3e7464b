// Rate limits, one bucket a client, exact over all workers together (GCRA: the generic cell rate
// algorithm, a token bucket kept as one time stamp).
// Writers: any worker, by one 16-byte compare-and-swap; a worker killed anywhere leaves a usable
// table, because tag and arrival time only ever change together. The master reads it for reports,
// and writes, by the same means, when a reload changes the rate.
// Invariant: of a live entry the arrival time never moves back, unless the rate changes. A full
// bucket is the same as none, so only an entry whose arrival time has passed is ever given to
// another client; where a set has none such, the newcomer is charged to the set's overflow bucket:
// churning addresses wins no fresh burst, and memory is fixed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "shared/base/socket_address.h"
#include "shared/memory/sip_hash.h"

namespace ringmaster {

// The rate in the table's own unit of time, 1/16 ns since the monotonic clock's start: wide enough
// for 36 years. The interval is exact for every rate that divides 16e9 (all round numbers made of
// twos and fives); else it is cut, which admits less than rate^2 / 16e9 requests a second too many:
// one in three minutes at 10,000/s, one in more than four hours at 1,000/s.
struct BucketRate {
  std::uint64_t interval = 0;   // between two requests at the steady rate
  std::uint64_t tolerance = 0;  // how far the arrival time may run ahead: burst x interval

  // A rate of 0 limits nothing; a burst of 0 counts as 1.
  static BucketRate of(std::uint32_t requests_per_second, std::uint32_t burst) noexcept;
};

struct BucketDecision {
  bool admitted;
  bool overflow;              // charged to the set's overflow bucket
  std::uint64_t retry_in_ns;  // until a token; 0 when admitted
};

// 128 bits that change as one.
struct alignas(16) BucketEntry {
  std::uint64_t tag;      // 0: nobody's
  std::uint64_t arrival;  // theoretical arrival time, in 1/16 ns
};
static_assert(std::is_trivially_copyable_v<BucketEntry> && sizeof(BucketEntry) == 16);

// Two cache lines: seven clients and the overflow bucket, whose tag stays 0.
struct alignas(128) BucketSet {
  std::array<BucketEntry, 7> clients;
  BucketEntry overflow;
};
static_assert(std::is_trivially_copyable_v<BucketSet> && sizeof(BucketSet) == 128);
static_assert(offsetof(BucketSet, overflow) == 112);

// A view of the table; the memory is the segment's, zeroed when new.
//
//   hints | sets
//
// Views of different sizes may look at the same memory, as while a reload changes the size: each
// finds entries that it can use, and at worst a client gets one fresh bucket.
class TokenBucketTable {
 public:
  // What a table for `entries` clients (at most kMaxRateLimitEntries) takes up. 128-byte aligned
  // memory is expected; on a page of its own, counting touches the fewest pages.
  static std::size_t bytes_for(std::uint32_t entries) noexcept;

  // `key`: chosen at random once a segment, so that no one can aim at a set.
  TokenBucketTable(std::byte* memory, std::uint32_t entries, const SipKey& key) noexcept;

  // Which bucket a client is charged to: IPv4 whole, IPv6 by its first `ipv6_prefix` bits.
  // Never 0, and below 2^63.
  std::uint64_t tag_of(const IpAddress& client, unsigned ipv6_prefix) const noexcept;

  // Takes one token at time `now_ns` (CLOCK_MONOTONIC) or says when there will be one. Lock-free.
  // `tag` is one of tag_of().
  BucketDecision take(std::uint64_t tag, const BucketRate& rate, std::uint64_t now_ns) noexcept;

  // The rate has changed: each client keeps as many tokens as it has taken, at the new rate's
  // price, and none is further behind than one that has spent the new burst. By the master, while
  // workers take; who is killed on the way leaves some as they were. `before`: 0, or its interval.
  // Workers of the new rate that took before this went by what was owed at the old one.
  void reprice(std::uint64_t before, const BucketRate& rate, std::uint64_t now_ns) noexcept;

  // Entries that are not full at `now_ns`. Walks all of the table that was ever used, so it takes
  // milliseconds where there were many clients: for the master's reports only.
  std::uint64_t count_active(std::uint64_t now_ns) const noexcept;

 private:
  // Number of sets, a power of two, that hold `entries` clients.
  static std::uint32_t sets_for(std::uint32_t entries) noexcept;
  // A client's place while it has no entry of its own. Empty: look again, the set has changed.
  std::optional<BucketDecision> take_as_newcomer(BucketSet& set, std::uint64_t tag,
                                                 const BucketRate& rate,
                                                 std::uint64_t now) noexcept;
  void note_used(const BucketSet& set) noexcept;
  // Calls `visit(set)` for each set that may have been used.
  template <class Visit>
  void for_each_used(Visit&& visit) const noexcept;

  // Borrowed: one byte a page of sets, not 0 once the page was ever written to, so that counting
  // need not look at the others: reading a page of shared memory is enough to allocate it.
  // Writers: workers, before they claim an entry. Reader: the master.
  std::uint8_t* page_used_;
  BucketSet* sets_;  // Borrowed
  // Constant after construction.
  std::uint32_t mask_;
  SipKey key_;
};

}  // namespace ringmaster
