// What the master counts, kept in the segment to outlive the master. Single writer: the master.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shared/memory/metrics_slab.h"
#include "shared/memory/upstream_state.h"

namespace ringmaster {

// Why a worker had to be replaced (ringmaster_worker_restarts_total{cause}).
enum class RestartCause : std::uint8_t { kSignal, kExit, kHung };
inline constexpr std::array<std::string_view, 3> kRestartCauseLabels{"signal", "exit", "hung"};

struct MasterUpstreamMetrics {
  std::array<Counter, kHealthCauseLabels.size()> ejections;  // by cause
  // By result: index 0 (no cause) is a success, the others are failures by cause.
  std::array<Counter, kHealthCauseLabels.size()> health_checks;
};

struct alignas(kCacheLine) MasterSlab {
  std::array<Counter, kRestartCauseLabels.size()> worker_restarts;
  // Milliseconds since 1970.
  Gauge service_started_ms;  // reloads do not count as a start
  Gauge config_loaded_ms;    // when the config in force came into force
  Gauge last_reload_failed;  // 1: the last attempt to load a config was refused
  // Processor time of the masters before this process, as far as it was ever shown, and what a
  // scrape was shown last: a counter must not fall because its master died.
  Gauge earlier_cpu_ns;
  Gauge shown_cpu_ns;
  Gauge bucket_interval;  // what a token costs by the config in force (BucketRate); 0: nothing
  std::array<MasterUpstreamMetrics, kMaxUpstreams> upstreams;
};
static_assert(std::is_standard_layout_v<MasterSlab>);
static_assert(std::is_trivially_destructible_v<MasterSlab>);

}  // namespace ringmaster
