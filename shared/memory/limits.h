// What the segment is laid out for. Its pages exist only once touched, so generous bounds cost
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringmaster {

inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::uint32_t kMaxUpstreams =
    1024;  // backends known at one time, of all generations
inline constexpr std::uint32_t kMaxWorkerSlots = 256;  // of all generations
// Config generations that may have workers at one time: the one that serves and those that drain.
inline constexpr std::uint32_t kRoutingAreas = 8;
inline constexpr std::size_t kMaxArchivedConfig = 1 << 20;  // bytes of the last good config's text
inline constexpr std::uint32_t kMaxRingPoints = 4'194'304;  // of one generation
inline constexpr std::uint32_t kMaxRateLimitEntries = 16'777'216;

}  // namespace ringmaster
