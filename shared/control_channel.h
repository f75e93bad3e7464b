// The line between the master and one worker: a socket pair that carries no data, only rings.
// What is wanted stands in shared memory (WorkerSlot::order, health words), so a full or lost ring
// loses nothing. Its end of file means that the other side is gone: so workers learn of the
// master's death.
#pragma once

#include "shared/base/result.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

struct ControlChannel {
  UniqueFd master_end;
  UniqueFd worker_end;

  // Both ends non-blocking and close-on-exec.
  static Result<ControlChannel> open();
};

// Makes the other end readable. Never blocks: when its queue is full it will be read anyway.
void ring(int end) noexcept;

// Empties this end. False at end of file: the other side is gone.
bool hear(int end) noexcept;

}  // namespace ringmaster
