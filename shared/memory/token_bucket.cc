// GCRA over a table that any number of processes change at once.
//
// A client has at most one entry. To get one it claims a place for its tag with the pending bit
// set, then confirms it. Several may do so for one tag at once, in different places; of pending
// entries the first in the set's order wins. Whoever confirms an entry, and be it another's,
//   1. has seen it pending,
//   2. then looks at all the others: none is the client's own, and none before it is pending,
//   3. makes those pending behind it nobody's,
//   4. clears the bit, which fails if the entry is no longer what it saw in (1).
// So there are never two: of two confirmed at once each would have to be claimed after the other's
// step 2 had passed it, and hence after the other's claim. Killed anywhere, a worker leaves at
// worst a pending entry, which the client's next request confirms; or time frees it like any other.
//
// Confirming takes the bucket's first token. A pending entry has none taken: its arrival time only
// keeps it from being given away, and another claimant finds what it lost by looking again.
#include "shared/memory/token_bucket.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <tuple>

#include "shared/memory/limits.h"

namespace ringmaster {
namespace {

#ifndef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
#error "A bucket changes by one 16-byte compare-and-swap: on x86-64, compile with -mcx16."
#endif
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic_ref<std::uint8_t>::is_always_lock_free);

__extension__ typedef unsigned __int128 EntryBits;
typedef EntryBits __attribute__((may_alias)) AliasedEntryBits;

constexpr std::uint64_t kUnitsPerNs = 16;
constexpr std::uint64_t kUnitsPerSecond = kUnitsPerNs * 1'000'000'000;
constexpr std::uint64_t kPending = std::uint64_t{1} << 63;
constexpr std::uint64_t kMaxTolerance = std::uint64_t{1} << 62;  // nine years: no sum overflows
constexpr BucketEntry kNobodys{0, 0};

constexpr std::uint32_t kClientsPerSet = std::tuple_size_v<decltype(BucketSet::clients)>;
constexpr std::uint32_t kSetsPerPage = 4096 / sizeof(BucketSet);
constexpr std::uint32_t kMaxSets =
    std::bit_ceil((kMaxRateLimitEntries + kClientsPerSet - 1) / kClientsPerSet);
constexpr std::size_t kHintBytes = kMaxSets / kSetsPerPage;
static_assert(kHintBytes % 4096 == 0);  // the sets begin on a page of their own

// seq_cst here and in change(): the argument at the top puts the loads and changes of several
// entries by several processes in one order. It costs nothing where loads are concerned: they are
// plain moves, and a locked instruction is a full barrier anyhow.
// Writers of both words: any worker, through change() alone.
std::uint64_t tag_in(BucketEntry& entry) noexcept {
  return std::atomic_ref(entry.tag).load(std::memory_order_seq_cst);
}

// The two words are read one after the other and may belong to different moments. Who goes on to
// change() the entry learns of it there; who does not must check the tag again.
BucketEntry read(BucketEntry& entry) noexcept {
  const std::uint64_t tag = tag_in(entry);
  return {tag, std::atomic_ref(entry.arrival).load(std::memory_order_seq_cst)};
}

// Replaces `seen` by `wanted`. If the entry is something else, tells in `seen` what.
bool change(BucketEntry& entry, BucketEntry& seen, const BucketEntry& wanted) noexcept {
  const auto expected = std::bit_cast<EntryBits>(seen);
  const EntryBits found = __sync_val_compare_and_swap(reinterpret_cast<AliasedEntryBits*>(&entry),
                                                      expected, std::bit_cast<EntryBits>(wanted));
  seen = std::bit_cast<BucketEntry>(found);
  return found == expected;
}

constexpr BucketDecision kAdmitted{.admitted = true, .overflow = false, .retry_in_ns = 0};

// Takes a token from `entry` if it still is `tag`'s; else returns nothing.
std::optional<BucketDecision> charge(BucketEntry& entry, std::uint64_t tag, const BucketRate& rate,
                                     std::uint64_t now) noexcept {
  BucketEntry seen = read(entry);
  while (seen.tag == tag) {
    const std::uint64_t next = std::max(seen.arrival, now) + rate.interval;
    const std::uint64_t ahead = next - now;
    if (ahead > rate.tolerance) {
      if (tag_in(entry) != tag) return std::nullopt;  // the arrival time was another client's
      const std::uint64_t wait = ahead - rate.tolerance;
      return BucketDecision{false, false, (wait + kUnitsPerNs - 1) / kUnitsPerNs};
    }
    if (change(entry, seen, {tag, next})) return kAdmitted;
  }
  return std::nullopt;
}

// Makes the pending entry `index`, read as `seen`, its client's own and takes its first token:
// steps 2 to 4 of the above. False: look again.
bool confirm(BucketSet& set, std::uint32_t index, BucketEntry seen, const BucketRate& rate,
             std::uint64_t now) noexcept {
  const std::uint64_t tag = seen.tag & ~kPending;
  for (std::uint32_t i = 0; i < kClientsPerSet; ++i) {
    if (i == index) continue;
    BucketEntry other = read(set.clients[i]);
    if (other.tag == tag) return false;
    if (other.tag != seen.tag) continue;
    if (i < index || !change(set.clients[i], other, kNobodys)) return false;
  }
  return change(set.clients[index], seen, {tag, now + rate.interval});
}

// How far a bucket's arrival time runs ahead once its tokens cost another interval.
std::uint64_t repriced(std::uint64_t ahead, std::uint64_t before, const BucketRate& rate) noexcept {
  constexpr EntryBits kMost = kMaxTolerance;
  const EntryBits tokens_at_new_price =
      before == 0 ? EntryBits{ahead} : EntryBits{ahead} * rate.interval / before;
  return std::min(static_cast<std::uint64_t>(std::min(tokens_at_new_price, kMost)), rate.tolerance);
}

}  // namespace

BucketRate BucketRate::of(std::uint32_t requests_per_second, std::uint32_t burst) noexcept {
  if (requests_per_second == 0) return {0, kMaxTolerance};
  // Cut, not rounded: of an interval too long by a hair, a client at exactly its rate would fall
  // behind and be refused one day.
  const std::uint64_t interval = kUnitsPerSecond / requests_per_second;
  const std::uint64_t most = kMaxTolerance / interval;
  // A nanosecond less a unit more: `now` was cut to whole nanoseconds, and comes that much too
  // early.
  return {interval,
          interval * std::clamp(std::uint64_t{burst}, std::uint64_t{1}, most) + kUnitsPerNs - 1};
}

std::uint32_t TokenBucketTable::sets_for(std::uint32_t entries) noexcept {
  const std::uint32_t bounded = std::clamp(entries, 1u, kMaxRateLimitEntries);
  return std::bit_ceil((bounded + kClientsPerSet - 1) / kClientsPerSet);
}

std::size_t TokenBucketTable::bytes_for(std::uint32_t entries) noexcept {
  return kHintBytes + sets_for(entries) * sizeof(BucketSet);
}

TokenBucketTable::TokenBucketTable(std::byte* memory, std::uint32_t entries,
                                   const SipKey& key) noexcept
    : page_used_(reinterpret_cast<std::uint8_t*>(memory)),
      sets_(reinterpret_cast<BucketSet*>(memory + kHintBytes)),
      mask_(sets_for(entries) - 1),
      key_(key) {}

std::uint64_t TokenBucketTable::tag_of(const IpAddress& client,
                                       unsigned ipv6_prefix) const noexcept {
  const IpAddress whose = client.is_v4() ? client : client.masked(ipv6_prefix);
  const std::uint64_t hash = sip_hash(key_, whose.bytes.data(), whose.bytes.size()) & ~kPending;
  return hash != 0 ? hash : 1;
}

BucketDecision TokenBucketTable::take(std::uint64_t tag, const BucketRate& rate,
                                      std::uint64_t now_ns) noexcept {
  const std::uint64_t now = now_ns * kUnitsPerNs;
  BucketSet& set = sets_[tag & mask_];
  // Once for a known client, twice for a new one. More often only after a lost race.
  for (;;) {
    const auto own = std::find_if(set.clients.begin(), set.clients.end(),
                                  [tag](BucketEntry& entry) { return tag_in(entry) == tag; });
    const auto decision = own != set.clients.end() ? charge(*own, tag, rate, now)
                                                   : take_as_newcomer(set, tag, rate, now);
    if (decision) return *decision;
  }
}

std::optional<BucketDecision> TokenBucketTable::take_as_newcomer(BucketSet& set, std::uint64_t tag,
                                                                 const BucketRate& rate,
                                                                 std::uint64_t now) noexcept {
  BucketEntry* free = nullptr;
  BucketEntry free_as_seen = kNobodys;
  for (std::uint32_t i = 0; i < kClientsPerSet; ++i) {
    const BucketEntry seen = read(set.clients[i]);
    if (seen.tag == tag) return std::nullopt;
    if (seen.tag == (tag | kPending)) {
      if (confirm(set, i, seen, rate, now)) return kAdmitted;
      return std::nullopt;
    }
    if (free == nullptr && seen.arrival <= now) {
      free = &set.clients[i];
      free_as_seen = seen;
    }
  }
  if (free != nullptr) {
    note_used(set);
    change(*free, free_as_seen, {tag | kPending, now + rate.interval});
    return std::nullopt;  // claimed or not: the next look tells
  }
  auto decision = charge(set.overflow, kNobodys.tag, rate, now);
  decision->overflow = true;
  return decision;
}

void TokenBucketTable::note_used(const BucketSet& set) noexcept {
  // relaxed: a hint for statistics; nothing is inferred from it. Looked at before it is written, so
  // that its cache line stays shared.
  const std::atomic_ref used(page_used_[static_cast<std::size_t>(&set - sets_) / kSetsPerPage]);
  if (used.load(std::memory_order_relaxed) == 0) used.store(1, std::memory_order_relaxed);
}

template <class Visit>
void TokenBucketTable::for_each_used(Visit&& visit) const noexcept {
  for (std::size_t first = 0; first <= mask_; first += kSetsPerPage) {
    // relaxed: a claim made meanwhile is found, or is not, as if it had come later.
    const std::atomic_ref used(page_used_[first / kSetsPerPage]);
    if (used.load(std::memory_order_relaxed) == 0) continue;
    const std::size_t end = std::min<std::size_t>(first + kSetsPerPage, mask_ + std::size_t{1});
    for (std::size_t i = first; i < end; ++i) visit(sets_[i]);
  }
}

void TokenBucketTable::reprice(std::uint64_t before, const BucketRate& rate,
                               std::uint64_t now_ns) noexcept {
  const std::uint64_t now = now_ns * kUnitsPerNs;
  const auto reprice_one = [&](BucketEntry& entry) {
    BucketEntry seen = read(entry);
    while (seen.arrival > now) {
      const std::uint64_t ahead = repriced(seen.arrival - now, before, rate);
      if (change(entry, seen, {seen.tag, now + ahead})) return;
    }
  };
  for_each_used([&](BucketSet& set) {
    for (BucketEntry& entry : set.clients) reprice_one(entry);
    reprice_one(set.overflow);
  });
}

std::uint64_t TokenBucketTable::count_active(std::uint64_t now_ns) const noexcept {
  const std::uint64_t now = now_ns * kUnitsPerNs;
  std::uint64_t active = 0;
  for_each_used([&](BucketSet& set) {
    for (BucketEntry& entry : set.clients) {
      // relaxed: a count of what changes meanwhile anyhow.
      const std::atomic_ref arrival(entry.arrival);
      if (arrival.load(std::memory_order_relaxed) > now) ++active;
    }
  });
  return active;
}

}  // namespace ringmaster
