// What Connection and Upgrade say (RFC 9110 sections 7.6.1 and 7.8), the same in both directions.
// Pure.
#pragma once

#include "worker/http/message_head.h"

namespace ringmaster {

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool malformed = false;  // something in it is no token
  bool too_many = false;   // more than anybody means: not all of the fields they name are marked
  bool names_trailers = false;  // maybe: a field that could also come as a trailer
};

// Reads every Connection field and marks the fields it nominates as hop-by-hop, but for those that
// must reach the other side for it to see the same message from the same sender.
ConnectionOptions read_connection(MessageHead& head) noexcept;

// Is there an Upgrade that may be passed on: well-formed, and no h2c in it.
bool offers_upgrade(const MessageHead& head) noexcept;

// Does a 101 switch to what its request offered, and nothing else (RFC 9110 section 7.8)?
bool accepts_offer(const MessageHead& response, const MessageHead& request) noexcept;

}  // namespace ringmaster
