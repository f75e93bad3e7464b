// Builds the ring and lays it out. Built in linear time: hashes are uniform, so one pass that drops
// each point into the bucket of its top bits leaves a few points a bucket to be put in order.
#include "shared/memory/hash_ring.h"

#define XXH_INLINE_ALL  // short keys: a call into the library costs more than the hash
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>

namespace ringmaster {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kPointsASlot = 8;
constexpr std::size_t kReplicaDigits = 20;  // of the longest 64-bit number

constexpr std::size_t align_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// So many that a slot holds four to eight points on average: of a hundred slots, at most two hold
// more than find room in their line.
std::uint32_t slot_bits_for(std::size_t points) {
  return std::max(static_cast<std::uint32_t>(std::bit_width(points / kPointsASlot)), 1u);
}

constexpr std::size_t kPointsOffset = align_up(sizeof(HashRing::Header));

std::size_t slots_offset(std::size_t points) {
  return kPointsOffset + align_up(points * sizeof(RingPoint));
}

// Calls `take(hashes)` with those of all points of one member, a batch at a time: what is done with
// a batch waits for memory, for several of them at once.
template <class Take>
void for_each_batch(const RingMember& member, std::uint32_t virtual_nodes, Take&& take) {
  const std::uint64_t replicas = std::uint64_t{member.weight} * virtual_nodes;
  std::string text(member.name);
  text += '#';
  const std::size_t prefix = text.size();
  text.resize(prefix + kReplicaDigits);
  std::array<std::uint64_t, 128> hashes;
  std::size_t size = 0;
  for (std::uint64_t replica = 0; replica < replicas; ++replica) {
    char* const digits = text.data() + prefix;
    const char* const end = std::to_chars(digits, digits + kReplicaDigits, replica).ptr;
    const std::string_view label(text.data(), static_cast<std::size_t>(end - text.data()));
    hashes[size++] = hash_key(label);
    if (size < hashes.size() && replica + 1 < replicas) continue;
    take(std::span<const std::uint64_t>(hashes.data(), size));
    size = 0;
  }
}

// In the order of names, so that points with equal hashes are too, whatever order we were given.
std::vector<RingMember> ordered_by_name(std::span<const RingMember> members) {
  std::vector<RingMember> by_name(members.begin(), members.end());
  std::sort(by_name.begin(), by_name.end(),
            [](const RingMember& a, const RingMember& b) { return a.name < b.name; });
  return by_name;
}

// Each point is a few positions from where it belongs; equal ones keep their order.
void sort_nearly_sorted(std::span<RingPoint> points) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    const RingPoint point = points[i];
    std::size_t at = i;
    for (; at > 0 && points[at - 1].place() > point.place(); --at) points[at] = points[at - 1];
    points[at] = point;
  }
}

// `points` are sorted. Those that find no room in their slot's line are left to locate().
void fill_slots(std::span<const RingPoint> points, std::uint32_t slot_bits, RingSlot* slots) {
  std::uint32_t next = 0;
  for (std::uint64_t number = 0; number < std::uint64_t{1} << slot_bits; ++number) {
    RingSlot& slot = slots[number];
    slot.first = next;
    std::size_t filled = 0;
    for (; next < points.size() && points[next].hash() >> (64 - slot_bits) == number; ++next) {
      const RingPoint& point = points[next];
      if (filled == slot.entries.size()) continue;
      slot.entries[filled++] = RingSlot::entry(point.hash(), slot_bits, point.upstream());
    }
    const std::uint32_t heir =
        points.empty() ? 0 : points[next < points.size() ? next : 0].upstream();
    std::fill(slot.entries.begin() + filled, slot.entries.end(),
              RingSlot::entry(~std::uint64_t{0}, slot_bits, heir));
  }
}

std::uint32_t count_members(std::span<const RingPoint> points) {
  std::bitset<kMaxUpstreams> seen;
  for (const RingPoint& point : points) seen.set(point.upstream());
  return static_cast<std::uint32_t>(seen.count());
}

// All but the points themselves.
void lay_out(std::span<const RingPoint> points, std::byte* memory) {
  const HashRing::Header header{
      .point_count = static_cast<std::uint32_t>(points.size()),
      .member_count = count_members(points),
      .slot_bits = slot_bits_for(points.size()),
      .reserved = 0,
  };
  std::memcpy(memory, &header, sizeof header);
  auto* const slots = reinterpret_cast<RingSlot*>(memory + slots_offset(points.size()));
  fill_slots(points, header.slot_bits, slots);
}

}  // namespace

std::uint64_t hash_key(std::string_view key) noexcept {
  return XXH3_64bits(key.data(), key.size());
}

std::size_t HashRing::bytes_for(std::size_t points) noexcept {
  return slots_offset(points) + (std::size_t{1} << slot_bits_for(points)) * sizeof(RingSlot);
}

void HashRing::build(std::span<const RingMember> members, std::uint32_t virtual_nodes,
                     std::byte* memory) {
  const std::vector<RingMember> by_name = ordered_by_name(members);
  std::uint64_t total = 0;
  for (const RingMember& member : by_name) {
    if (member.upstream >= kMaxUpstreams) std::abort();  // a bug of whoever numbered
    total += std::uint64_t{member.weight} * virtual_nodes;
  }

  // A counting sort on the top bits, in place: each hash is computed twice, which costs less than
  // memory that is touched for the first time.
  const std::uint32_t shift = 64 - slot_bits_for(total);
  auto* const points = reinterpret_cast<RingPoint*>(memory + kPointsOffset);
  std::vector<std::uint32_t> next((std::size_t{1} << slot_bits_for(total)) + 1);  // by slot
  for (const RingMember& member : by_name) {
    for_each_batch(member, virtual_nodes, [&](std::span<const std::uint64_t> hashes) {
      for (const std::uint64_t hash : hashes) ++next[(hash >> shift) + 1];
    });
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  for (const RingMember& member : by_name) {
    for_each_batch(member, virtual_nodes, [&](std::span<const std::uint64_t> hashes) {
      for (const std::uint64_t hash : hashes) {
        points[next[hash >> shift]++] = RingPoint(hash, member.upstream);
      }
    });
  }
  sort_nearly_sorted({points, total});
  lay_out({points, total}, memory);
}

void HashRing::write(std::span<const RingPoint> points, std::byte* memory) noexcept {
  if (!points.empty()) std::memcpy(memory + kPointsOffset, points.data(), points.size_bytes());
  lay_out(points, memory);
}

HashRing::HashRing(const std::byte* memory) noexcept {
  Header header;
  std::memcpy(&header, memory, sizeof header);
  points_ = reinterpret_cast<const RingPoint*>(memory + kPointsOffset);
  slots_ = reinterpret_cast<const RingSlot*>(memory + slots_offset(header.point_count));
  count_ = header.point_count;
  members_ = header.member_count;
  slot_bits_ = header.slot_bits;
}

std::vector<double> HashRing::shares(std::uint32_t upstream_count) const {
  std::vector<double> shares(upstream_count, 0.0);
  if (is_empty()) return shares;
  // A point owns what lies between its predecessor and itself; the first one's predecessor is the
  // last. Summed as whole numbers, so that the shares add up; a sole owner's arcs wrap round to 0.
  std::vector<std::uint64_t> arcs(upstream_count, 0);
  std::uint64_t previous = points_[count_ - 1].hash();
  for (std::uint32_t position = 0; position < count_; ++position) {
    arcs[points_[position].upstream()] += points_[position].hash() - previous;
    previous = points_[position].hash();
  }
  const std::uint32_t first_owner = points_[0].upstream();
  for (std::uint32_t i = 0; i < upstream_count; ++i) {
    shares[i] = static_cast<double>(arcs[i]) * 0x1p-64;
  }
  if (members_ == 1) shares[first_owner] = 1.0;
  return shares;
}

}  // namespace ringmaster
