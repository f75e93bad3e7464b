// The flight recorder: what was decided on each of a worker's last requests, and why. It is there
// for `ringmaster ctl recorder` and `ctl why`, also after the worker was killed in the middle of
// them.
// Writer: the slot's one living worker. Readers: the master, at any time. A request is published
// when it is sent to a backend and again when its outcome is known; between the two it says what a
// worker was at when it died. Invariant: an entry whose version is even is whole, whoever died
// when. A replacement goes on where the dead worker stopped: entries last until kRecordedRequests
// newer ones came to the slot.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

#include "shared/answer_fault.h"
#include "shared/base/socket_address.h"
#include "shared/memory/limits.h"
#include "shared/message_fault.h"
#include "shared/reject_reason.h"

namespace ringmaster {

inline constexpr std::uint32_t kRecordedRequests = 4096;  // a worker slot

// What the rate limiter said.
enum class LimitDecision : std::uint8_t {
  kNotAsked,  // refused before, or off
  kExempt,
  kAdmitted,
  kAdmittedByOverflow,  // charged to the bucket that its set's newcomers share
  kRefused,
};
inline constexpr std::array<std::string_view, 5> kLimitDecisionLabels{
    "not_asked", "exempt", "admitted", "admitted_by_overflow", "refused"};

enum class RequestOutcome : std::uint8_t {
  kInProgress,
  kAnswered,     // with a backend's whole response
  kRefused,      // by ourselves: see the reason
  kCut,          // broken off after it had begun: see the reason
  kTunnelEnded,  // an upgraded connection, closed by either side
  kHandedOver,   // a tunnel that went on in another worker
};
inline constexpr std::array<std::string_view, 6> kRequestOutcomeLabels{
    "in_progress", "answered", "refused", "cut", "tunnel_ended", "handed_over"};

// Why a backend that lies on the key's way round the ring did not answer the request.
enum class TrailStep : std::uint8_t {
  // Not asked:
  kWasDown,
  kWasDraining,
  kWasFull,
  kWasOverBound,   // hash.balance_factor
  kStartedSlowly,  // health.slow_start, and this key's turn had not come
  // Asked in vain, in the order of RetryCause:
  kConnectFailed,
  kConnectTimeout,
  kStaleConnection,
  kUpstreamClosed,
  kEjected,
};
inline constexpr std::array<std::string_view, 10> kTrailStepLabels{"down",
                                                                   "draining",
                                                                   "full",
                                                                   "over_bound",
                                                                   "slow_start",
                                                                   "connect_failed",
                                                                   "connect_timeout",
                                                                   "stale_connection",
                                                                   "upstream_closed",
                                                                   "ejected"};

// The hash key that placed a request; a header or cookie that is missing makes it kClientIp.
enum class RecordedKey : std::uint8_t { kUri, kPath, kClientIp, kHeader, kCookie };
inline constexpr std::array<std::string_view, 5> kRecordedKeyLabels{"uri", "path", "client_ip",
                                                                    "header", "cookie"};

// One request as recorded: plain bytes. Times are microseconds from its first byte on.
struct RequestRecord {
  static constexpr std::uint32_t kNever = 0xffffffffu;  // of a time
  static constexpr std::uint16_t kNoUpstream = 0xffff;
  static constexpr std::size_t kIdBytes = 40;
  static constexpr std::size_t kIdHead = 32;  // of a longer id; its hash fills the rest
  static constexpr std::size_t kLineBytes = 56;
  static constexpr std::size_t kMostSteps = 8;
  static constexpr unsigned kAnswerFaultBit = 3;
  static_assert(kRecordedKeyLabels.size() <= 1 << kAnswerFaultBit);
  static_assert(kAnswerFaultCount <= 1 << (8 - kAnswerFaultBit));

  enum Flag : std::uint8_t {
    kReused = 1,      // over a pooled connection
    kTunnel = 2,      // became one
    kTrustedId = 4,   // its id was given by a trusted proxy
    kBackup = 8,      // went to a backup, since nothing else was up
    kTakenOver = 32,  // a tunnel that another worker began
    kHasHash = 16,    // got as far as the ring
  };

  struct Step {
    std::uint32_t upstream : 10;
    std::uint32_t what : 4;    // TrailStep
    std::uint32_t at_ms : 18;  // from the first byte on; saturates
  };
  static_assert(sizeof(Step) == 4 && kMaxUpstreams <= 1 << 10);
  static constexpr std::uint32_t kLatestStepMs = (1 << 18) - 1;

  std::uint64_t started_us;  // since 1970
  std::uint64_t hash;        // where its key lies on the ring
  std::uint64_t bytes_in;    // head and body, as received
  std::uint64_t bytes_out;   // heads and body, as sent
  std::uint64_t total_us;    // to the last byte of the answer
  std::uint32_t connect_us;  // how long the connection took that served it
  std::uint32_t first_byte_us;
  std::int32_t pid;  // of the worker
  std::uint32_t generation;
  IpAddress client;
  std::uint16_t owner;       // of its key, whatever its health
  std::uint16_t chosen;      // the last one asked
  std::uint16_t status;      // sent to the client; 0: none
  std::uint16_t line_bytes;  // of the whole "METHOD target"; saturates
  RequestOutcome outcome;
  RejectReason reason;  // of kRefused and kCut
  LimitDecision limit;
  std::uint8_t flags;
  std::uint8_t steps;     // all there were; the first ones and the very last are kept
  std::uint8_t attempts;  // backends asked, the same one twice included
  std::uint8_t id_bytes;
  // If it got as far as the ring: RecordedKey, and from kAnswerFaultBit on what was wrong with the
  // answer. Else MessageFault.
  std::uint8_t key_or_fault;
  char id[kIdBytes];
  // "METHOD target" from the front on, steps from the back on: what is long loses its end.
  char tail[kLineBytes];

  bool has(Flag flag) const noexcept { return (flags & flag) != 0; }
  void set(Flag flag) noexcept { flags = static_cast<std::uint8_t>(flags | flag); }
  void clear(Flag flag) noexcept { flags = static_cast<std::uint8_t>(flags & ~flag); }

  // It got as far as the ring.
  void set_place(RecordedKey key, std::uint64_t on_ring) noexcept {
    set(kHasHash);
    hash = on_ring;
    key_or_fault = static_cast<std::uint8_t>(key);
  }
  RecordedKey key() const noexcept {
    return static_cast<RecordedKey>(key_or_fault & ((1u << kAnswerFaultBit) - 1));
  }
  // Precondition: set_place().
  void set_fault(AnswerFault fault) noexcept {
    key_or_fault = static_cast<std::uint8_t>(static_cast<unsigned>(fault) << kAnswerFaultBit |
                                             static_cast<unsigned>(key()));
  }
  // Else `reason` says nothing.
  bool has_reason() const noexcept {
    return outcome == RequestOutcome::kRefused || outcome == RequestOutcome::kCut;
  }
  // What is wrong with the answer.
  AnswerFault answer_fault() const noexcept {
    if (!has_reason() || !has(kHasHash)) return AnswerFault::kNone;
    return static_cast<AnswerFault>(key_or_fault >> kAnswerFaultBit);
  }
  // What is wrong with a bad request; behind the ring it can only be its body.
  MessageFault fault() const noexcept {
    if (reason != RejectReason::kBadRequest) return MessageFault::kNone;
    return has(kHasHash) ? MessageFault::kBody : static_cast<MessageFault>(key_or_fault);
  }

  void set_id(std::string_view text) noexcept;
  void set_line(std::string_view method, std::string_view target) noexcept;
  void add_step(std::uint32_t upstream, TrailStep what, std::uint64_t at_us) noexcept;

  bool is_called(std::string_view text) const noexcept;
  // What is left of them; views of this record.
  std::string_view id_text() const noexcept;
  std::string_view line() const noexcept;
  std::size_t kept_steps() const noexcept { return std::min<std::size_t>(steps, kMostSteps); }
  Step step(std::size_t i) const noexcept;  // i < kept_steps()
};
static_assert(std::is_trivially_copyable_v<RequestRecord>);
static_assert(std::has_unique_object_representations_v<IpAddress>);
static_assert(sizeof(RequestRecord) == 184);

// One a worker slot, in the segment.
class FlightRecorder {
 public:
  static constexpr std::uint64_t kUnpublished = ~std::uint64_t{0};

  // By the worker. `number`: what publish() returned for this request before, or kUnpublished.
  // Where newer requests have taken the entry meanwhile, the request gets another one. A few
  // nanoseconds: three cache lines are written.
  std::uint64_t publish(std::uint64_t number, const RequestRecord& record) noexcept;

  // By anyone. Requests ever begun in this slot; entries exist of the last kRecordedRequests.
  std::uint64_t count() const noexcept { return next_.load(std::memory_order_acquire); }
  // Nothing if the entry is another's by now, or its writer is (or died) half way.
  std::optional<RequestRecord> read(std::uint64_t number) const noexcept;

 private:
  static constexpr std::size_t kWords = sizeof(RequestRecord) / sizeof(std::uint64_t);
  struct alignas(kCacheLine) Entry {
    // (number + 1) << 8 | 2 x times published, plus 1 while it is being written.
    std::atomic<std::uint64_t> version;
    std::array<std::atomic<std::uint64_t>, kWords> words;
  };
  static_assert(sizeof(Entry) == 3 * kCacheLine);

  alignas(kCacheLine) std::atomic<std::uint64_t> next_;
  std::array<Entry, kRecordedRequests> entries_;
};
static_assert(std::is_standard_layout_v<FlightRecorder>);
static_assert(std::is_trivially_destructible_v<FlightRecorder>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline std::uint64_t FlightRecorder::publish(std::uint64_t number,
                                             const RequestRecord& record) noexcept {
  // relaxed: no one else writes them.
  const bool is_known =
      number != kUnpublished &&
      entries_[number % kRecordedRequests].version.load(std::memory_order_relaxed) >> 8 ==
          number + 1;
  if (!is_known) {
    number = next_.load(std::memory_order_relaxed);
    // release: pairs with the acquire in count(). Killed right after it, the entry is still whole:
    // that of an older request, which read() tells by its number.
    next_.store(number + 1, std::memory_order_release);
  }
  Entry& entry = entries_[number % kRecordedRequests];
  const std::uint64_t before =
      is_known ? entry.version.load(std::memory_order_relaxed) : (number + 1) << 8;
  entry.version.store(before | 1, std::memory_order_relaxed);
  // release: no word below is seen without the odd version above; pairs with the fence in read().
  std::atomic_thread_fence(std::memory_order_release);
  const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(record);
  for (std::size_t i = 0; i < kWords; ++i) {
    entry.words[i].store(words[i], std::memory_order_relaxed);
  }
  // release: pairs with the first load in read(); all words are there.
  entry.version.store((before & ~std::uint64_t{0xff}) | ((before + 2) & 0xff),
                      std::memory_order_release);
  return number;
}

inline std::string_view RequestRecord::line() const noexcept {
  const std::size_t room = kLineBytes - kept_steps() * sizeof(Step);
  return {tail, std::min<std::size_t>(line_bytes, room)};
}

inline RequestRecord::Step RequestRecord::step(std::size_t i) const noexcept {
  Step step;
  std::memcpy(&step, tail + kLineBytes - (i + 1) * sizeof step, sizeof step);
  return step;
}

inline void RequestRecord::add_step(std::uint32_t upstream, TrailStep what,
                                    std::uint64_t at_us) noexcept {
  if (steps < 255) ++steps;
  // The masks change nothing: they show the compiler that all fits.
  const auto ms = static_cast<std::uint32_t>(std::min<std::uint64_t>(at_us / 1000, kLatestStepMs));
  const Step step{.upstream = upstream & (kMaxUpstreams - 1),
                  .what = static_cast<std::uint32_t>(what) & 15,
                  .at_ms = ms & kLatestStepMs};
  std::memcpy(tail + kLineBytes - kept_steps() * sizeof step, &step, sizeof step);
}

}  // namespace ringmaster
