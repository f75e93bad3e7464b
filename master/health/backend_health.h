// What the master knows of one backend's health, as a value: for /status, /metrics and the log.
#pragma once

#include <cstdint>
#include <string>

#include "shared/memory/upstream_state.h"

namespace ringmaster {

struct BackendHealth {
  HealthState state = HealthState::kUnknown;
  HealthCause cause = HealthCause::kNone;
  std::string reason;         // of the latest change: "connect: connection refused, 2 of 2"
  std::int64_t since_ms = 0;  // of what it is, milliseconds since 1970; 0: not known
  // Of the latest probe: "200", "connect: connection refused"; "" before it.
  std::string last_result;
  double last_duration_ms = 0;
  std::uint32_t successes = 0;  // probes in a row
  std::uint32_t failures = 0;   // probes in a row
};

}  // namespace ringmaster
