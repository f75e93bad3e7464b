#include "worker/io/worker_context.h"

#include <sys/eventfd.h>

namespace ringmaster {

void WorkerContext::ring_master() const noexcept {
  // Fails only when the counter is full: then the master has been rung already.
  ::eventfd_write(report_fd, 1);
}

}  // namespace ringmaster
