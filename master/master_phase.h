// Where the master is in its life; only ever forward.
#pragma once

#include <cstdint>

namespace ringmaster {

enum class MasterPhase : std::uint8_t {
  kStarting,    // workers and first probes under way
  kTakingOver,  // as kStarting, while workers of an earlier generation serve
  kServing,     // READY=1 was said
  kPreDrain,    // told to stop, not closing yet: /readyz fails
  kDraining,    // listeners closed
  kCutting,     // out of patience: requests in flight end now
  kKilling,     // so do workers that do not react
};

constexpr bool is_stopping(MasterPhase phase) noexcept {
  return phase >= MasterPhase::kPreDrain;
}

}  // namespace ringmaster
