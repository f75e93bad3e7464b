// The listening sockets: opened by the master before the first fork, shared by all workers, so that
// no connection that waits to be accepted is tied to one worker's life.
#pragma once

#include "shared/base/result.h"
#include "shared/base/socket_address.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

struct Listener {
  UniqueFd socket;        // non-blocking, close-on-exec, listening
  SocketAddress address;  // as bound: a port of 0 has become the kernel's choice
};

// The error names the address and what can be done about it.
Result<Listener> open_listener(const SocketAddress& address);

}  // namespace ringmaster
