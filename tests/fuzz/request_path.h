// The way of requests through the product, without its sockets: a client's bytes are parsed, and
// each request is rewritten and relayed, by the same calls in the same order as Exchange makes
// them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/reject_reason.h"
#include "tests/fuzz/arrival.h"

namespace ringmaster::fuzz {

// Small, so that inputs reach it.
inline constexpr std::uint32_t kMostHeadBytes = 1024;
inline constexpr std::string_view kViaName = "ringmaster-f";
inline constexpr std::string_view kClientIp = "192.0.2.1";
inline constexpr std::string_view kRequestId = "f-1";
inline constexpr std::string_view kDate = "Tue, 15 Nov 1994 08:12:31 GMT";

// What of the config and of the peer the way of a request depends on.
struct Setting {
  bool peer_is_trusted = false;
  bool forwarded = false;  // [server] forwarded
  std::string_view client_ip = kClientIp;
};

struct RelayedRequest {
  std::size_t begin = 0;     // where in the client's bytes it begins
  std::string bytes = {};    // what went upstream
  bool is_answered = false;  // it went nowhere: `bytes` is our own answer
  bool is_done = false;      // all of it was relayed, or is of no more interest
  std::size_t end = 0;       // with is_done: where the client's next request begins
};

struct RequestRun {
  std::vector<RelayedRequest> requests;
  // Why the client's connection is no longer read from, if it was not simply all that came.
  std::optional<RejectReason> refusal;
  bool closes = false;  // after the last request, in good order
};

RequestRun run_requests(std::string_view from_client, Pieces pieces, const Setting& setting);

}  // namespace ringmaster::fuzz
