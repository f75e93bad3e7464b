// Sums over all worker slots, each counter read exactly once: whatever is derived from one set of
// totals agrees with itself, however busy the workers are meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/memory/segment.h"

namespace ringmaster {

// Counts in buckets that are not cumulative; the last one is above all bounds.
template <std::size_t kBuckets>
struct HistogramTotals {
  std::array<std::uint64_t, kBuckets> buckets{};
  std::uint64_t sum_ns = 0;
};

// Of the classes of status codes, in the order of UpstreamTotals::responses.
inline constexpr std::array<std::string_view, 5> kCodeLabels{"1xx", "2xx", "3xx", "4xx", "5xx"};

struct UpstreamTotals {
  std::array<std::uint64_t, kCodeLabels.size()> responses{};
  std::uint64_t in_flight = 0;
  std::uint64_t connections_idle = 0;
  std::uint64_t connections_busy = 0;
  std::uint64_t connections_reused = 0;
  std::uint64_t hash_spills = 0;
  std::array<std::uint64_t, kRetryCauseLabels.size()> retries{};
  HistogramTotals<RequestHistogram::kBounds + 1> request_duration;
  HistogramTotals<ConnectHistogram::kBounds + 1> connect_duration;

  // Requests that got their final response: interim responses and tunnels (both 1xx) are not
  // counted.
  std::uint64_t requests() const noexcept {
    return responses[1] + responses[2] + responses[3] + responses[4];
  }
};

struct WorkerTotals {
  std::uint64_t clients_idle = 0;
  std::uint64_t clients_active = 0;
  std::uint64_t clients_tunnel = 0;
  std::uint64_t clients_total = 0;
  std::uint64_t client_received_bytes = 0;
  std::uint64_t client_sent_bytes = 0;
  std::uint64_t upstream_received_bytes = 0;
  std::uint64_t upstream_sent_bytes = 0;
  std::uint64_t rate_limited = 0;
  std::uint64_t rate_limit_overflow = 0;
  std::uint64_t access_log_dropped = 0;
  std::uint64_t retries_refused = 0;
  std::array<std::uint64_t, kRejectReasonCount> rejected{};
};

UpstreamTotals sum_upstream(const Segment& segment, std::uint32_t upstream) noexcept;
WorkerTotals sum_workers(const Segment& segment) noexcept;

}  // namespace ringmaster
