// The consistent-hash ring: which backend a key belongs to, the same in every process, on every
// machine, after every restart, and whatever order the config lists the backends in.
// Writer: the master, once a config generation, before any worker of that generation is forked.
// Readers: the workers. Nothing in it changes afterwards: health is no part of it, a walk goes on.
// Invariant: points are sorted by place (ties by backend name); the first at or after a key owns
// it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "shared/memory/limits.h"

namespace ringmaster {

// A virtual node in one word: a ring of a thousand backends is laid out before the first request is
// served, and costs by the page. `upstream` indexes the segment's upstream table; what is left of
// the word is the place on the ring, the top bits of a hash.
class RingPoint {
 public:
  static constexpr unsigned kUpstreamBits = 10;
  static_assert(kMaxUpstreams <= 1u << kUpstreamBits);

  // Precondition: upstream < kMaxUpstreams.
  constexpr RingPoint(std::uint64_t hash, std::uint32_t upstream) noexcept
      : word_(place_of(hash) << kUpstreamBits | upstream) {}

  // Where a hash lies on the ring: two that differ only below this are one.
  static constexpr std::uint64_t place_of(std::uint64_t hash) noexcept {
    return hash >> kUpstreamBits;
  }
  constexpr std::uint64_t place() const noexcept { return word_ >> kUpstreamBits; }
  // The least hash that lies at place().
  constexpr std::uint64_t hash() const noexcept { return place() << kUpstreamBits; }
  constexpr std::uint32_t upstream() const noexcept {
    return static_cast<std::uint32_t>(word_ & ((1u << kUpstreamBits) - 1));
  }

 private:
  std::uint64_t word_;
};
static_assert(std::is_trivially_copyable_v<RingPoint> && sizeof(RingPoint) == 8);

// An equal part of the ring, in one cache line, which as a rule says all of a lookup: a ring of a
// thousand backends is larger than the caches, and to find a point by way of an index would mean to
// wait for memory twice.
struct alignas(kCacheLine) RingSlot {
  static constexpr std::size_t kEntries = 15;

  std::uint32_t first;  // position of the first point at or after the slot's beginning
  // The slot's points, in order, as many as find room; behind them, at the slot's end, whose point
  // comes next.
  std::array<std::uint32_t, kEntries> entries;

  // Of a hash the bits that follow those its slot is found by, and an upstream.
  static constexpr std::uint32_t entry(std::uint64_t hash, std::uint32_t slot_bits,
                                       std::uint32_t upstream) noexcept {
    const std::uint64_t rest = hash << slot_bits >> (32 + RingPoint::kUpstreamBits);
    return static_cast<std::uint32_t>(rest) << RingPoint::kUpstreamBits | upstream;
  }
  static constexpr std::uint32_t upstream_of(std::uint32_t entry) noexcept {
    return entry & ((1u << RingPoint::kUpstreamBits) - 1);
  }
};
static_assert(std::is_trivially_copyable_v<RingSlot> && sizeof(RingSlot) == kCacheLine);

struct RingMember {
  std::string_view name;
  std::uint32_t weight;
  std::uint32_t upstream;
};

// Where a key lies on the ring.
std::uint64_t hash_key(std::string_view key) noexcept;

// A ring laid out in memory it does not own (the shared segment): a header, the points, and slots
// over the top bits of the hash, which make a lookup O(1) expected.
class HashRing {
 public:
  struct Header {
    std::uint32_t point_count;
    std::uint32_t member_count;  // distinct upstreams
    std::uint32_t slot_bits;     // there are 2^slot_bits slots; at least 1
    std::uint32_t reserved;
  };
  static_assert(std::is_trivially_copyable_v<Header> && sizeof(Header) == 16);

  // Bytes that a ring of at most `points` points takes up; 64-byte aligned memory is expected.
  static std::size_t bytes_for(std::size_t points) noexcept;
  // The ring as a pure function of its members, built in `memory`, which holds bytes_for() their
  // points: point r of a member lies at the top 54 bits of XXH3-64 of "name#r", r in
  // [0, weight x virtual_nodes).
  // Names are distinct; the members' order does not matter.
  static void build(std::span<const RingMember> members, std::uint32_t virtual_nodes,
                    std::byte* memory);
  // Lays `points` of one's own choice (sorted) out in `memory`, which holds
  // bytes_for(points.size()).
  static void write(std::span<const RingPoint> points, std::byte* memory) noexcept;

  HashRing() noexcept = default;  // an empty ring
  // A view of what build() or write() left at `memory`; valid as long as that memory is.
  explicit HashRing(const std::byte* memory) noexcept;

  bool is_empty() const noexcept { return count_ == 0; }
  std::uint32_t point_count() const noexcept { return count_; }
  std::uint32_t member_count() const noexcept { return members_; }
  const RingPoint& point(std::uint32_t position) const noexcept { return points_[position]; }

  // These three: of the first point at or after `hash`, round the end. Precondition: !is_empty().
  std::uint32_t locate(std::uint64_t hash) const noexcept;  // its position
  std::uint32_t owner(std::uint64_t hash) const noexcept;   // its upstream, for less
  // Has what owner() reads brought nearer meanwhile. Of a ring that was laid out, empty or not.
  void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&slot_of(hash)); }

  // Walks from the key's own point, asking `accept(upstream)` once for each distinct upstream in
  // ring order, until it says yes. Returns that upstream, or kNone when every member said no. O(1)
  // expected while most accept; allocation-free.
  template <class Accept>
  std::uint32_t walk(std::uint64_t hash, Accept&& accept) const;

  // Share of the hash space that each upstream owns (index = upstream, size = upstream_count).
  std::vector<double> shares(std::uint32_t upstream_count) const;

  static constexpr std::uint32_t kNone = 0xffffffffu;

 private:
  // The part of walk() after the first refusal.
  template <class Accept>
  std::uint32_t walk_on(std::uint32_t refused_at, Accept& accept) const;

  const RingSlot& slot_of(std::uint64_t hash) const noexcept {
    return slots_[hash >> (64 - slot_bits_)];
  }

  const RingPoint* points_ = nullptr;
  const RingSlot* slots_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t members_ = 0;
  std::uint32_t slot_bits_ = 1;
};

inline std::uint32_t HashRing::locate(std::uint64_t hash) const noexcept {
  // Where the slot holds no point at or after `hash`, this stops at the next slot's first one,
  // which is the right one.
  const std::uint64_t place = RingPoint::place_of(hash);
  std::uint32_t position = slot_of(hash).first;
  while (position < count_ && points_[position].place() < place) ++position;
  return position < count_ ? position : 0;
}

inline std::uint32_t HashRing::owner(std::uint64_t hash) const noexcept {
  const RingSlot& slot = slot_of(hash);
  const std::uint32_t sought = RingSlot::entry(hash, slot_bits_, 0);
  std::uint32_t before = 0;  // counted, not searched for: no branch to be guessed
  for (const std::uint32_t entry : slot.entries) before += entry < sought ? 1 : 0;
  if (before < RingSlot::kEntries) [[likely]] {
    const std::uint32_t upstream = RingSlot::upstream_of(slot.entries[before]);
    // Of one whose bits are the same they do not tell which comes first.
    if (slot.entries[before] - upstream != sought) [[likely]]
      return upstream;
  }
  return points_[locate(hash)].upstream();
}

template <class Accept>
std::uint32_t HashRing::walk(std::uint64_t hash, Accept&& accept) const {
  if (is_empty()) return kNone;
  const std::uint32_t first = owner(hash);
  return accept(first) ? first : walk_on(locate(hash), accept);
}

template <class Accept>
std::uint32_t HashRing::walk_on(std::uint32_t refused_at, Accept& accept) const {
  std::array<std::uint64_t, kMaxUpstreams / 64> asked{};
  const auto mark = [&asked](std::uint32_t upstream) {
    std::uint64_t& word = asked[upstream / 64];
    const std::uint64_t bit = std::uint64_t{1} << (upstream % 64);
    const bool is_new = (word & bit) == 0;
    word |= bit;
    return is_new;
  };
  mark(points_[refused_at].upstream());
  std::uint32_t left = members_ - 1;
  for (std::uint32_t position = refused_at; left > 0;) {
    position = position + 1 < count_ ? position + 1 : 0;
    const std::uint32_t upstream = points_[position].upstream();
    if (!mark(upstream)) continue;
    if (accept(upstream)) return upstream;
    --left;
  }
  return kNone;
}

}  // namespace ringmaster
