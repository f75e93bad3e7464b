// Housekeeping: gives back what a burst left behind in a worker, once it is not needed any more:
// memory to the kernel, idle connections above max_idle to their backends. It steps only while
// there is something to give back; an idle worker is not woken for it. Owned by Worker.
#pragma once

#include <uv.h>

#include <array>
#include <cstddef>

#include "shared/base/uv_handle.h"
#include "worker/client/client_connections.h"
#include "worker/proxy/proxy.h"

namespace ringmaster {

class Housekeeping {
 public:
  Housekeeping(WorkerContext& context, Proxy& proxy, ClientConnections& clients);

  // After each turn of the loop: begins to step if there is something to give back.
  void notice() {
    if (!stepping_ && has_surplus()) start();
  }

 private:
  static constexpr std::size_t kLists = 6;

  bool has_surplus_memory() const noexcept;
  bool has_surplus() const noexcept;
  void start();
  void step();

  // Borrowed: the worker's.
  const std::array<FreeList*, kLists> lists_;
  UpstreamPool& upstreams_;
  // Owned.
  OwnedHandle<uv_timer_t> timer_;
  bool stepping_ = false;
  unsigned steps_ = 0;
  unsigned trimmed_at_ = 0;      // of steps_: when memory was last given back to the kernel
  std::size_t freed_bytes_ = 0;  // since then
};

}  // namespace ringmaster
