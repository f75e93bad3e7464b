// What a worker counts. One slab a worker slot; slots outlive workers, so nothing is ever folded or
// reset: a replacement goes on counting where the dead one stopped, and a counter cannot fall.
// Writer: the slot's one living worker; after its death, or once it was killed and does not end,
// the master, for the gauges alone (back to zero). Reader: the master, who sums all slots for
// /metrics and /status. Invariant: each fact is stored once and all else derived (_count from the
// buckets, requests_total from the status classes), so a worker killed between two stores leaves no
// two figures that disagree.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shared/memory/limits.h"
#include "shared/reject_reason.h"

namespace ringmaster {

// A figure with one writer at a time. relaxed throughout: a sum, from which no reader infers
// anything else; load and store apart instead of a locked add, since no one else writes.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 protected:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge : public Counter {
 public:
  void subtract(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
};

// Upper bounds of request_duration_seconds in microseconds. From 1 ms to 1 s each step is at most a
// tenth: a quantile lies in the same bucket as the truth, so PromQL's interpolation cannot be wrong
// by more, whatever the distribution. 1, 2.5 and 5 of each decade are among them, for objectives
// that people set.
namespace detail {
inline constexpr std::array<std::uint32_t, 26> kDecadeUs{
    1'000, 1'100, 1'200, 1'320, 1'450, 1'580, 1'730, 1'900, 2'080, 2'280, 2'500, 2'750, 3'000,
    3'250, 3'550, 3'900, 4'250, 4'600, 5'000, 5'500, 6'000, 6'500, 7'100, 7'750, 8'500, 9'250};
inline constexpr std::array<std::uint32_t, 3> kBelowUs{500, 700, 910};
inline constexpr std::array<std::uint32_t, 9> kAboveUs{1'000'000,  1'500'000,  2'000'000,
                                                       3'000'000,  5'000'000,  7'500'000,
                                                       10'000'000, 20'000'000, 30'000'000};

constexpr auto request_bounds_us() noexcept {
  std::array<std::uint32_t, kBelowUs.size() + 3 * kDecadeUs.size() + kAboveUs.size()> bounds{};
  std::size_t next = 0;
  for (const std::uint32_t bound : kBelowUs) bounds[next++] = bound;
  for (const std::uint32_t decade : {1u, 10u, 100u}) {
    for (const std::uint32_t bound : kDecadeUs) bounds[next++] = bound * decade;
  }
  for (const std::uint32_t bound : kAboveUs) bounds[next++] = bound;
  return bounds;
}
}  // namespace detail
inline constexpr auto kRequestBoundsUs = detail::request_bounds_us();
// Of ringmaster_upstream_connect_duration_seconds.
inline constexpr std::array<std::uint32_t, 12> kConnectBoundsUs{
    100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 500'000, 1'000'000};

template <const auto& kBoundsUs>
class LatencyHistogram {
 public:
  static constexpr std::size_t kBounds = kBoundsUs.size();

  void observe(std::uint64_t ns) noexcept {
    std::size_t low = 0;
    for (std::size_t length = kBounds; length > 0;) {
      const std::size_t half = length / 2;
      const bool above = ns > std::uint64_t{kBoundsUs[low + half]} * 1000;
      low = above ? low + half + 1 : low;
      length = above ? length - half - 1 : half;
    }
    sum_ns_.add(ns);
    buckets_[low].add();
  }
  // Observations in (bound i-1, bound i]; i == kBounds: above all of them. Not cumulative.
  std::uint64_t bucket(std::size_t i) const noexcept { return buckets_[i].get(); }
  std::uint64_t sum_ns() const noexcept { return sum_ns_.get(); }

 private:
  Counter sum_ns_;
  std::array<Counter, kBounds + 1> buckets_;
};
using RequestHistogram = LatencyHistogram<kRequestBoundsUs>;
using ConnectHistogram = LatencyHistogram<kConnectBoundsUs>;

// Why a request was sent once more (ringmaster_retries_total{cause}); `backend` is the one that
// failed it.
enum class RetryCause : std::uint8_t {
  kConnectFailed,
  kConnectTimeout,
  kStaleConnection,  // a pooled connection that the backend had closed
  kUpstreamClosed,   // closed before the first byte of a response
  kEjected,          // the backend was taken out while the request waited for it
};
inline constexpr std::array<std::string_view, 5> kRetryCauseLabels{
    "connect_failed", "connect_timeout", "stale_connection", "upstream_closed", "ejected"};

// What one worker counts of one backend.
struct alignas(kCacheLine) UpstreamMetrics {
  std::array<Counter, 5> responses;  // by class, 1xx to 5xx
  Gauge in_flight;
  Gauge connections_idle;
  Gauge connections_busy;
  Counter connections_reused;
  Counter hash_spills;  // requests that walked past this backend, whose key it was
  std::array<Counter, kRetryCauseLabels.size()> retries;
  RequestHistogram request_duration;
  ConnectHistogram connect_duration;

  // Has the lines brought near that every request writes, to all but one of the buckets.
  void prefetch() const noexcept {
    const char* const lines = reinterpret_cast<const char*>(this);
    __builtin_prefetch(lines, 1);
    __builtin_prefetch(lines + kCacheLine, 1);
  }
};
static_assert(offsetof(UpstreamMetrics, request_duration) < 2 * kCacheLine);  // its sum

// What one worker counts of itself.
struct alignas(kCacheLine) WorkerMetrics {
  Gauge clients_idle;
  Gauge clients_active;
  Gauge clients_tunnel;
  Counter clients_total;
  Counter client_received_bytes;
  Counter client_sent_bytes;
  Counter upstream_received_bytes;
  Counter upstream_sent_bytes;
  Counter rate_limited;
  Counter rate_limit_overflow;
  Counter access_log_dropped;  // lines
  Gauge requests_in_flight;  // at backends in use: what the two shares of the config are shares of
  Gauge retries_in_flight;   // of these, those that upstream.retry_budget counts
  Counter retries_refused;   // for want of budget
  std::array<Counter, kRejectReasonCount> rejected;
};

struct MetricsSlab {
  WorkerMetrics worker;
  std::array<UpstreamMetrics, kMaxUpstreams> upstreams;

  // By anyone: the requests that the slot's worker has at backends.
  std::uint64_t requests_held(std::uint32_t upstream_count) const noexcept {
    std::uint64_t held = 0;
    for (std::uint32_t i = 0; i < upstream_count; ++i) held += upstreams[i].in_flight.get();
    return held;
  }
  // By the master, once the slot's worker is dead: what it held is given back.
  void release_gauges(std::uint32_t upstream_count) noexcept {
    worker.clients_idle.set(0);
    worker.clients_active.set(0);
    worker.clients_tunnel.set(0);
    worker.requests_in_flight.set(0);
    worker.retries_in_flight.set(0);
    for (std::uint32_t i = 0; i < upstream_count; ++i) {
      upstreams[i].in_flight.set(0);
      upstreams[i].connections_idle.set(0);
      upstreams[i].connections_busy.set(0);
    }
  }
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(Counter) == 8 && sizeof(Gauge) == 8);
static_assert(std::is_standard_layout_v<MetricsSlab>);
static_assert(std::is_trivially_destructible_v<MetricsSlab>);
static_assert(sizeof(UpstreamMetrics) % kCacheLine == 0 && sizeof(WorkerMetrics) % kCacheLine == 0);

}  // namespace ringmaster
