// What /metrics and /status report on: one look at the master's own knowledge and at shared memory.
// Borrows everything; made anew for each report.
#pragma once

#include <cstdint>
#include <vector>

#include "master/health/health_monitor.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

struct ReportSource {
  const Config& config;
  const Segment& segment;
  const std::vector<std::uint32_t>& upstreams;  // segment's index of config.backends[i]
  const HealthMonitor& health;
  std::uint32_t generation;
  bool ready;
  bool stopping;
  std::uint64_t rate_limit_entries;  // counted a moment ago: counting walks the table
  std::vector<double> ring_shares;   // by upstream
  // Of this image: the one that is laid out for config and upstreams, in force or about to be.
  std::uint32_t own_generation = 0;
  // By worker slot: since a sign of life, in milliseconds, as the master's looks tell it.
  std::vector<std::uint64_t> heartbeat_ages_ms = {};
};

}  // namespace ringmaster
