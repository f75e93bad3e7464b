#include "master/reports/totals.h"

namespace ringmaster {
namespace {

template <std::size_t kSize>
void add_all(std::array<std::uint64_t, kSize>& sums, const std::array<Counter, kSize>& counters) {
  for (std::size_t i = 0; i < kSize; ++i) sums[i] += counters[i].get();
}

template <std::size_t kBuckets, class Histogram>
void add_histogram(HistogramTotals<kBuckets>& sums, const Histogram& histogram) {
  static_assert(kBuckets == Histogram::kBounds + 1);
  for (std::size_t i = 0; i < kBuckets; ++i) sums.buckets[i] += histogram.bucket(i);
  sums.sum_ns += histogram.sum_ns();
}

}  // namespace

UpstreamTotals sum_upstream(const Segment& segment, std::uint32_t upstream) noexcept {
  UpstreamTotals sums;
  const std::uint32_t slots_used = segment.slots_used();
  for (std::uint32_t slot = 0; slot < slots_used; ++slot) {
    const UpstreamMetrics& metrics = segment.metrics(slot).upstreams[upstream];
    add_all(sums.responses, metrics.responses);
    sums.in_flight += metrics.in_flight.get();
    sums.connections_idle += metrics.connections_idle.get();
    sums.connections_busy += metrics.connections_busy.get();
    sums.connections_reused += metrics.connections_reused.get();
    sums.hash_spills += metrics.hash_spills.get();
    add_all(sums.retries, metrics.retries);
    add_histogram(sums.request_duration, metrics.request_duration);
    add_histogram(sums.connect_duration, metrics.connect_duration);
  }
  return sums;
}

WorkerTotals sum_workers(const Segment& segment) noexcept {
  WorkerTotals sums;
  const std::uint32_t slots_used = segment.slots_used();
  for (std::uint32_t slot = 0; slot < slots_used; ++slot) {
    const WorkerMetrics& metrics = segment.metrics(slot).worker;
    sums.clients_idle += metrics.clients_idle.get();
    sums.clients_active += metrics.clients_active.get();
    sums.clients_tunnel += metrics.clients_tunnel.get();
    sums.clients_total += metrics.clients_total.get();
    sums.client_received_bytes += metrics.client_received_bytes.get();
    sums.client_sent_bytes += metrics.client_sent_bytes.get();
    sums.upstream_received_bytes += metrics.upstream_received_bytes.get();
    sums.upstream_sent_bytes += metrics.upstream_sent_bytes.get();
    sums.rate_limited += metrics.rate_limited.get();
    sums.rate_limit_overflow += metrics.rate_limit_overflow.get();
    sums.access_log_dropped += metrics.access_log_dropped.get();
    sums.retries_refused += metrics.retries_refused.get();
    add_all(sums.rejected, metrics.rejected);
  }
  return sums;
}

}  // namespace ringmaster
