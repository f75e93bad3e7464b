// Rewrites heads for the other side: hop-by-hop fields go, forwarding fields come, framing is
// written anew from what was parsed, never copied. One copy of the bytes, into a buffer that the
// caller owns. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/http/message_head.h"

namespace ringmaster {

// What a rewritten request head depends on besides the head itself.
struct RequestForwarding {
  std::string_view client_ip;  // text form of the peer (not of X-Forwarded-For)
  // Then X-Forwarded-* and Forwarded are believed and appended to; else they are replaced or
  // dropped: a client could write anything there.
  bool peer_is_trusted;
  bool keep_upgrade;  // pass Upgrade on, with Connection: upgrade
  // Our pseudonym in Via (RFC 9110 section 7.6.3), unique to this instance; empty: no Via is
  // written.
  std::string_view via_name;
  // Written as X-Request-Id in the place of any that came; empty: none is written.
  std::string_view request_id = {};
  bool forwarded = false;            // also write Forwarded (RFC 7239), with what X-Forwarded-* say
  std::string_view scheme = "http";  // by which the peer asked
  // Host for an HTTP/1.0 request that names none: HTTP/1.1 must have one (RFC 9112 section 3.2).
  std::string_view default_host = {};
};

// Bytes that a rewritten head may be longer than the original, unless its Host is absurdly long.
inline constexpr std::size_t kForwardingOverhead = 1024;

// Writes the head that goes upstream: always HTTP/1.1, origin-form (or "*"), Host from
// head.authority, end-to-end fields in their order and case, X-Forwarded-For/-Proto/-Host,
// X-Request-Id, Via, then Content-Length or Transfer-Encoding as head.framing says. Max-Forwards,
// where it counts, is one less (precondition: it was not 0). Returns its length. `out` holds
// head.size + kForwardingOverhead; 0 if it did not fit all the same.
std::size_t write_request_head(const RequestHead& head, const RequestForwarding& how, char* out,
                               std::size_t capacity) noexcept;

// What a rewritten response head depends on.
struct ResponseForwarding {
  HttpVersion client_version;
  BodyFraming framing;  // towards the client: kNone leaves Content-Length as the backend sent it
                        // (HEAD, 304)
  bool keep_alive;  // else Connection: close is written; to HTTP/1.0, keep-alive is said explicitly
  bool keep_upgrade;  // a 101 that the client asked for, or a 426
  std::string_view via_name;
  // Likewise: the client learns by what we know its request, whatever the backend said.
  std::string_view request_id = {};
  // Now, as Date has it: for a final response that lacks one (RFC 9110 section 6.6.1). Empty: none
  // is added.
  std::string_view date = {};
};

// Writes the head that goes to the client: HTTP/1.1, the backend's status and reason, end-to-end
// fields in their order and case, X-Request-Id, Via, Date where it is missing, then framing and
// Connection. Same conventions as above. Also for 1xx (framing kNone).
std::size_t write_response_head(const ResponseHead& head, const ResponseForwarding& how, char* out,
                                std::size_t capacity) noexcept;

}  // namespace ringmaster
