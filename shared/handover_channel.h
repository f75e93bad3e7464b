// The line on which a worker that drains gives its idle connections and tunnels to one that serves:
// a socket pair that lives as long as the service. Every worker holds both ends: whoever drains
// writes, whoever serves reads, and a message that is under way when a worker dies waits for the
// next one. Messages are worker/io/handover.h's.
#pragma once

#include "shared/base/result.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

struct HandoverChannel {
  UniqueFd in;   // read by those that serve
  UniqueFd out;  // written by those that drain

  // Both ends non-blocking and close-on-exec; one message a packet.
  static Result<HandoverChannel> open();
};

}  // namespace ringmaster
