// The one clock of every decision, CLOCK_MONOTONIC: the same for all processes of this machine,
// kept across their restarts but not across a reboot. Read through the vDSO: no system call.
#pragma once

#include <cstdint>
#include <ctime>

namespace ringmaster {

inline std::uint64_t monotonic_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::uint64_t monotonic_ms() noexcept {
  return monotonic_ns() / 1'000'000u;
}

// For people alone, never for a decision: time since 1970, which may jump.
inline std::uint64_t wall_clock_ns() noexcept {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::int64_t wall_clock_ms() noexcept {
  return static_cast<std::int64_t>(wall_clock_ns() / 1'000'000u);
}

}  // namespace ringmaster
