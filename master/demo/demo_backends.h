// The three small backends of `ringmaster --demo`: one child process that answers on their ports
// until the process that started it is gone. Nothing of it runs otherwise.
#pragma once

#include <vector>

#include "shared/base/result.h"
#include "shared/config.h"

namespace ringmaster {

// Opens a listener for each backend of the demo config and forks the child that serves them. It
// answers
//   GET /anything   200, with the backend's name and the path
//   GET /sleep/N    the same after N seconds (60 at most): something to be in flight at a shutdown
// On success the child is running; it ends with the parent.
Result<void> start_demo_backends(const std::vector<BackendConfig>& backends);

}  // namespace ringmaster
