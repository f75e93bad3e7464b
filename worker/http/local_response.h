// The answers that Ringmaster gives itself: short, plain text, from the one table in
// shared/reject_reason.h. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/message_fault.h"
#include "shared/reject_reason.h"
#include "worker/http/message_head.h"

namespace ringmaster {

struct LocalResponse {
  RejectReason reason;
  bool close;                        // say Connection: close
  bool keep_alive_10;                // an HTTP/1.0 client asked for keep-alive and gets it
  bool head_only;                    // answers a HEAD request
  std::uint32_t retry_after_s = 0;   // 0: no Retry-After
  std::string_view request_id = {};  // of X-Request-Id, at most RequestId::kMostBytes; empty: none
  std::string_view date = {};        // now, as Date has it (RFC 9110 section 6.6.1)
  MessageFault fault = MessageFault::kNone;  // of a bad request
};

inline constexpr std::size_t kMaxLocalResponse = 768;

// Writes head and body; returns the length. `out` holds kMaxLocalResponse. Precondition: the reason
// has a status, and is not kMaxForwards.
[[gnu::cold]] std::size_t write_local_response(const LocalResponse& response, char* out) noexcept;

// What an OPTIONS or TRACE request with Max-Forwards: 0 gets from us, its final recipient (RFC 9110
// section 7.6.2): what is allowed, or the request as it came, without what may be a secret
// (section 9.3.8). `out` holds head.size + kMaxLocalResponse. `response.reason` is kMaxForwards.
[[gnu::cold]] std::size_t write_recipient_response(const RequestHead& head,
                                                   const LocalResponse& response,
                                                   char* out) noexcept;

}  // namespace ringmaster
