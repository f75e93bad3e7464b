#include "worker/io/worker_context.h"

#include <sys/eventfd.h>

namespace ringmaster {

void WorkerContext::uv_master_wakeup(int fd) noexcept {
  // Fails only when the counter is full: then the master has been rung already.
  ::eventfd_write(fd, 1);
}

}  // namespace ringmaster
