// The listening sockets: opened by the master before the first fork, or handed to it (by systemd,
// by the fd store, by the image before), shared by all workers, so that no connection that waits to
// be accepted is tied to one worker's life.
#pragma once

#include <span>
#include <vector>

#include "shared/base/result.h"
#include "shared/base/socket_address.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

struct Listener {
  UniqueFd socket;           // non-blocking, close-on-exec, listening
  SocketAddress address;     // as bound: a port of 0 has become the kernel's choice
  SocketAddress configured;  // as the config names it; empty: it came without being asked for
  bool is_systemds = false;  // from a .socket unit: systemd keeps it open, whatever we do
  bool is_new = false;       // opened by this image
};

// The error names the address and what can be done about it.
Result<Listener> open_listener(const SocketAddress& address);

// A listening TCP socket that somebody else opened. The error says what else it is.
Result<Listener> adopt_listener(UniqueFd socket);

// A listener for each of `wanted`: those among `handed` that fit, and new ones for the rest. On
// success what is left in `handed` is what nobody wants; on failure `handed` is as it was. `others`
// are listeners of ours that serve something else, and may be in the way.
Result<std::vector<Listener>> match_listeners(const std::vector<SocketAddress>& wanted,
                                              std::vector<Listener>& handed,
                                              std::span<const Listener> others);

}  // namespace ringmaster
