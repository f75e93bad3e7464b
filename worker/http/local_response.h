// The answers that Ringmaster gives itself: short, plain text, from the one table in
// shared/reject_reason.h. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/reject_reason.h"

namespace ringmaster {

struct LocalResponse {
  RejectReason reason;
  bool close;                        // say Connection: close
  bool keep_alive_10;                // an HTTP/1.0 client asked for keep-alive and gets it
  bool head_only;                    // answers a HEAD request
  std::uint32_t retry_after_s = 0;   // 0: no Retry-After
  std::string_view request_id = {};  // of X-Request-Id, at most RequestId::kMostBytes; empty: none
};

inline constexpr std::size_t kMaxLocalResponse = 768;

// Writes head and body; returns the length. `out` holds kMaxLocalResponse. Precondition: the reason
// has a status.
std::size_t write_local_response(const LocalResponse& response, char* out) noexcept;

}  // namespace ringmaster
