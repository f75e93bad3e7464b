#include "master/generation.h"

#include <string>

#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {

void retire_backends(Segment& segment, const std::vector<std::uint32_t>& in_use) {
  std::vector<bool> is_used(segment.upstream_count());
  for (const std::uint32_t upstream : in_use) is_used[upstream] = true;
  for (std::uint32_t i = 0; i < is_used.size(); ++i) {
    UpstreamState& upstream = segment.upstream(i);
    if (is_used[i] || upstream.retired_at_ms() != 0) continue;
    upstream.set_retired_at_ms(static_cast<std::uint64_t>(wall_clock_ms()));
  }
}

void tell_of_drained(const Segment& segment, const std::vector<std::uint32_t>& upstreams) {
  std::string names;
  for (const std::uint32_t upstream : upstreams) {
    const UpstreamState& state = segment.upstream(upstream);
    if (!state.is_drained()) continue;
    names.append(names.empty() ? "" : ", ").append(state.name());
  }
  if (names.empty()) return;
  log::warning("drained by an operator: {}; `ringmaster ctl ready NAME` puts one back", names);
}

void reprice_buckets(Segment& segment, const RateLimitConfig& limit) {
  if (limit.requests_per_second == 0) return;
  const BucketRate rate = BucketRate::of(limit.requests_per_second, limit.burst);
  const std::uint64_t before = segment.master().bucket_interval.get();
  // First: should we be killed on the way, nobody pays the new price twice.
  segment.master().bucket_interval.set(rate.interval);
  segment.buckets(limit.table_entries).reprice(before, rate, monotonic_ns());
}

}  // namespace ringmaster
