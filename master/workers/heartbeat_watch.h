// Whether a worker still turns its loop: looks at its heartbeat at a steady pace. Counts looks, not
// seconds: a machine that stood still, master and all, hangs nobody. Owner: who watches that
// worker.
#pragma once

#include <cstdint>

#include "shared/memory/worker_slot.h"

namespace ringmaster {

class HeartbeatWatch {
 public:
  static constexpr std::uint64_t kLookEveryMs = 250;

  // One look. True: it has not moved for as long as a worker in that state may take.
  bool has_stopped(const WorkerSlot& slot) noexcept {
    const std::uint64_t beat = slot.heartbeat();
    still_ = beat == last_beat_ ? still_ + 1 : 0;
    last_beat_ = beat;
    const bool is_starting = slot.state() == WorkerState::kStarting;
    return still_ >= (is_starting ? kStartingLooks : kServingLooks);
  }
  std::uint64_t age_ms() const noexcept { return still_ * kLookEveryMs; }

 private:
  static constexpr std::uint32_t kServingLooks = 8;    // 2 s
  static constexpr std::uint32_t kStartingLooks = 40;  // 10 s

  std::uint64_t last_beat_ = 0;
  std::uint32_t still_ = 0;
};

}  // namespace ringmaster
