// A backend as all processes see it: its name, where it is, whether it may be used; and the board
// on which workers report the ones they had trouble with. Writer: the master alone, but for
// SuspicionBoard, which says so.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "shared/base/socket_address.h"
#include "shared/memory/limits.h"

namespace ringmaster {

// down --rise successes--> up --first failure or report--> suspect --fall failures--> down,
// suspect --success--> up. kUnknown until the first probe, which decides alone. Draining and slow
// start are states of one that is up: an operator's wish, and a growing share of its keys.
enum class HealthState : std::uint8_t { kUnknown, kUp, kSuspect, kDown, kDraining, kSlowStart };
inline constexpr std::array<std::string_view, 6> kHealthStateLabels{
    "unknown", "up", "suspect", "down", "draining", "slow_start"};
constexpr std::string_view label(HealthState state) noexcept {
  return kHealthStateLabels[static_cast<std::size_t>(state)];
}
// Gets new requests.
constexpr bool is_in_use(HealthState state) noexcept {
  return state == HealthState::kUp || state == HealthState::kSuspect ||
         state == HealthState::kSlowStart;
}

// How much of its traffic a backend gets, in 1/kAllKeys: a key is admitted or not by its own hash,
// so that under a growing share each key comes back once.
using KeyShare = std::uint32_t;
inline constexpr KeyShare kNoKeys = 0;
inline constexpr KeyShare kAllKeys = 0xffff;

// Why the state is what it is.
enum class HealthCause : std::uint8_t { kNone, kConnect, kTimeout, kStatus, kProtocol, kResolve };
inline constexpr std::array<std::string_view, 6> kHealthCauseLabels{
    "none", "connect", "timeout", "status", "protocol", "resolve"};
constexpr std::string_view label(HealthCause cause) noexcept {
  return kHealthCauseLabels[static_cast<std::size_t>(cause)];
}

class alignas(kCacheLine) UpstreamState {
 public:
  // ---- By the master ----
  // Gives a free entry to a backend. Precondition: name.size() < kNameBytes.
  void claim(std::string_view name) noexcept {
    std::memset(name_, 0, sizeof name_);
    std::memcpy(name_, name.data(), name.size());
    health_.store(kAllKeys << kShareBit, std::memory_order_relaxed);
    ramp_began_ms_.store(0, std::memory_order_relaxed);
    drained_.store(0, std::memory_order_relaxed);
    retired_at_ms_.store(0, std::memory_order_relaxed);
    changed_at_ms_.store(0, std::memory_order_relaxed);
    place_.store(kNowhere, std::memory_order_relaxed);
    reason_[0] = '\0';
  }
  // Of which place, as configured, the address and the verdict are: a digest of it, or kNowhere
  // while they change from one to the next. A successor believes them of no other.
  void set_place(std::uint64_t place) noexcept {
    // release: a master killed here leaves either kNowhere or what was published before.
    place_.store(place, std::memory_order_release);
  }
  // What people are told of the state; it outlives the master's image with it. Cut to fit.
  void explain(std::int64_t since_ms, std::string_view reason) noexcept {
    changed_at_ms_.store(since_ms, std::memory_order_relaxed);
    reason_[reason.copy(reason_, kReasonBytes - 1)] = '\0';
  }
  // An operator took the backend out, or put it back (`ctl drain`, `ctl ready`): kept over reloads.
  void set_drained(bool drained) noexcept {
    drained_.store(drained ? 1 : 0, std::memory_order_relaxed);
  }
  // When the backend left the config, milliseconds since 1970; 0: it is in it.
  void set_retired_at_ms(std::uint64_t when) noexcept {
    retired_at_ms_.store(when, std::memory_order_relaxed);
  }
  void set_health(HealthState state, HealthCause cause, KeyShare keys) noexcept {
    // release: pairs with the acquire in verdict(); who sees a backend up sees its address too.
    health_.store(static_cast<std::uint32_t>(state) |
                      static_cast<std::uint32_t>(cause) << kCauseBit | keys << kShareBit,
                  std::memory_order_release);
  }
  void set_health(HealthState state, HealthCause cause) noexcept {
    const bool out = state == HealthState::kDown || state == HealthState::kDraining;
    set_health(state, cause, out ? kNoKeys : kAllKeys);
  }
  // Since when its share of keys grows (health.slow_start), CLOCK_MONOTONIC; 0: it does not.
  void set_ramp_began_ms(std::uint64_t when) noexcept {
    ramp_began_ms_.store(when, std::memory_order_relaxed);
  }
  // A reader copies an address in nanoseconds; its cell is rewritten only kAddressCells - 1 changes
  // later, and the master spaces changes by seconds: no reader can meet a half-written one.
  void publish_address(const SocketAddress& address) noexcept {
    const std::uint32_t next = (address_at_.load(std::memory_order_relaxed) + 1) % kAddressCells;
    addresses_[next] = address;
    // release: pairs with the acquire in address(); the cell is complete before it is pointed at.
    address_at_.store(next, std::memory_order_release);
  }

  // ---- By anyone ----
  // Valid while the entry is claimed; the bytes are in the segment.
  std::string_view name() const noexcept { return {name_, ::strnlen(name_, sizeof name_)}; }
  // What the master decided, read at once: the parts agree.
  struct Verdict {
    HealthState state;
    HealthCause cause;
    KeyShare keys;
    bool is_usable() const noexcept { return keys != kNoKeys; }
  };
  Verdict verdict() const noexcept {
    const std::uint32_t word = health_.load(std::memory_order_acquire);
    return {static_cast<HealthState>(word & 0xff),
            static_cast<HealthCause>(word >> kCauseBit & 0xff), word >> kShareBit};
  }
  HealthState health() const noexcept { return verdict().state; }
  HealthCause cause() const noexcept { return verdict().cause; }
  KeyShare keys() const noexcept { return verdict().keys; }
  bool is_usable() const noexcept { return keys() != kNoKeys; }
  // Has what every request asks for (keys, address_number) brought near.
  void prefetch() const noexcept { __builtin_prefetch(&health_); }
  // It is down and nobody may count on it: what waits for it is asked again elsewhere. A drained
  // one finishes what it has, unless it is down as well; only then it has a cause.
  bool is_given_up() const noexcept {
    const Verdict now = verdict();
    return !now.is_usable() && (now.state == HealthState::kDown || now.cause != HealthCause::kNone);
  }
  // Whether the key that lies at `hash` on the ring is part of a share. The low bits have nothing
  // to do with where on the ring it lies. Whatever else grows, kNoKeys has none and kAllKeys all.
  static bool is_within(KeyShare keys, std::uint64_t hash) noexcept {
    return (static_cast<std::uint32_t>(hash & 0xffff) * kAllKeys >> 16) < keys;
  }
  // Another one whenever address() has changed (and the same again after many changes).
  std::uint32_t address_number() const noexcept {
    return address_at_.load(std::memory_order_acquire);
  }
  // Empty as long as the backend's host name was never resolved.
  SocketAddress address() const noexcept {
    return addresses_[address_at_.load(std::memory_order_acquire)];
  }

  // ---- By the master and its successors alone ----
  std::int64_t changed_at_ms() const noexcept {
    return changed_at_ms_.load(std::memory_order_relaxed);
  }
  std::uint64_t place() const noexcept { return place_.load(std::memory_order_acquire); }
  // Plain bytes, never read while they are written.
  std::string_view reason() const noexcept { return {reason_, ::strnlen(reason_, sizeof reason_)}; }
  std::uint64_t ramp_began_ms() const noexcept {
    return ramp_began_ms_.load(std::memory_order_relaxed);
  }
  bool is_drained() const noexcept { return drained_.load(std::memory_order_relaxed) != 0; }
  std::uint64_t retired_at_ms() const noexcept {
    return retired_at_ms_.load(std::memory_order_relaxed);
  }

  static constexpr std::uint64_t kNowhere = 0;
  static constexpr std::size_t kNameBytes = 64;
  static constexpr std::size_t kReasonBytes = 128;
  static constexpr std::uint32_t kAddressCells = 8;

 private:
  static constexpr int kCauseBit = 8;
  static constexpr int kShareBit = 16;

  char name_[kNameBytes];              // constant once claimed
  std::atomic<std::uint32_t> health_;  // state, cause, share of keys: one word, so they agree
  std::atomic<std::uint32_t> address_at_;
  std::array<SocketAddress, kAddressCells> addresses_;
  // relaxed, all by the master: facts for people and for its successor, not for the workers.
  std::atomic<std::uint32_t> drained_;
  std::atomic<std::uint64_t> ramp_began_ms_;
  std::atomic<std::int64_t> changed_at_ms_;
  std::atomic<std::uint64_t> retired_at_ms_;
  std::atomic<std::uint64_t> place_;
  char reason_[kReasonBytes];
};
static_assert(std::is_standard_layout_v<UpstreamState>);
static_assert(std::is_trivially_destructible_v<UpstreamState>);
static_assert(std::is_trivially_copyable_v<SocketAddress>);  // copied as bytes

// Which backends workers could not reach. A bit set is a question to the master, who probes and
// decides; an eventfd beside it wakes the master. Writers: any worker (set), the master (clear).
class alignas(kCacheLine) SuspicionBoard {
 public:
  // True if the bit was not set yet: then the reporter wakes the master.
  bool report(std::uint32_t upstream) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << upstream % 64;
    auto& word = words_[upstream / 64];
    // A look first: under a storm of failures no one fights over the line.
    if (word.load(std::memory_order_relaxed) & bit) return false;
    // relaxed: the bit is the whole message; nothing else is published with it.
    return (word.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  }
  // Calls `visit(upstream)` for each reported backend and clears its bit. relaxed, as report(); a
  // bit that is set right after the look is met by the next one.
  template <class Visit>
  void collect(Visit&& visit) noexcept {
    for (std::uint32_t i = 0; i < words_.size(); ++i) {
      if (words_[i].load(std::memory_order_relaxed) == 0) continue;
      std::uint64_t bits = words_[i].exchange(0, std::memory_order_relaxed);
      for (; bits != 0; bits &= bits - 1) {
        visit(i * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
      }
    }
  }

 private:
  std::array<std::atomic<std::uint64_t>, kMaxUpstreams / 64> words_;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::is_standard_layout_v<SuspicionBoard>);

}  // namespace ringmaster
