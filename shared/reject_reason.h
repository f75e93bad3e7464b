// Why Ringmaster itself answered or closed: one table from reason to metric label, status code and
// the words the client reads. Workers count by it, the master exports it, nothing else maps to
// status codes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringmaster {

enum class RejectReason : std::uint8_t {
  kBadRequest,
  kHeaderTimeout,
  kBodyTimeout,
  kMethodNotAllowed,
  kBodyTooLarge,
  kTargetTooLong,
  kExpectationFailed,
  kRateLimited,  // counted in requests_dropped_total, not in ringmaster_rejected_total
  kHeaderTooLarge,
  kNotImplemented,
  kConnectFailed,
  kUpstreamClosed,
  kBadResponse,
  kLoopDetected,
  kNoBackend,
  kOverloaded,
  kConnectTimeout,
  kResponseTimeout,
  kBadVersion,
  kMaxForwards,  // answered as the final recipient
  // From here on the response had begun or there was no one to answer: the connection is closed.
  kResponseCut,
  kClientGone,
  kDrainTimeout,
  kBadProxyHeader,
};
inline constexpr std::size_t kRejectReasonCount = 24;

struct RejectReasonInfo {
  RejectReason reason;
  std::string_view label;  // of ringmaster_rejected_total{reason}
  std::uint16_t status;    // 0: no answer is possible
  std::string_view text;   // body of the answer, without its line end
};

inline constexpr std::array<RejectReasonInfo, kRejectReasonCount> kRejectReasons{{
    {RejectReason::kBadRequest, "bad_request", 400, ""},  // by its MessageFault
    {RejectReason::kHeaderTimeout, "header_timeout", 408,
     "Request Timeout: the request head took too long"},
    {RejectReason::kBodyTimeout, "body_timeout", 408,
     "Request Timeout: the request body stopped coming"},
    {RejectReason::kMethodNotAllowed, "method_not_allowed", 405,
     "Method Not Allowed: not through a load balancer"},
    {RejectReason::kBodyTooLarge, "body_too_large", 413, "Content Too Large"},
    {RejectReason::kTargetTooLong, "target_too_long", 414, "URI Too Long"},
    {RejectReason::kExpectationFailed, "expectation_failed", 417,
     "Expectation Failed: only 100-continue is known"},
    {RejectReason::kRateLimited, "rate_limited", 429, "Too Many Requests: slow down"},
    {RejectReason::kHeaderTooLarge, "header_too_large", 431, "Request Header Fields Too Large"},
    {RejectReason::kNotImplemented, "not_implemented", 501, "Not Implemented"},
    {RejectReason::kConnectFailed, "connect_failed", 502,
     "Bad Gateway: no backend accepted the connection"},
    {RejectReason::kUpstreamClosed, "upstream_closed", 502,
     "Bad Gateway: the backend closed without an answer"},
    {RejectReason::kBadResponse, "bad_response", 502,
     "Bad Gateway: the backend's answer was not valid HTTP"},
    {RejectReason::kLoopDetected, "loop_detected", 508,
     "Loop Detected: the request came round again"},
    {RejectReason::kNoBackend, "no_backend", 503, "Service Unavailable: no healthy backend"},
    {RejectReason::kOverloaded, "overloaded", 503,
     "Service Unavailable: every backend is at its limit"},
    {RejectReason::kConnectTimeout, "connect_timeout", 504,
     "Gateway Timeout: no backend took the connection in time"},
    {RejectReason::kResponseTimeout, "response_timeout", 504,
     "Gateway Timeout: the backend did not answer in time"},
    {RejectReason::kBadVersion, "bad_version", 505, "HTTP Version Not Supported"},
    {RejectReason::kMaxForwards, "max_forwards", 200, ""},
    {RejectReason::kResponseCut, "response_cut", 0, ""},
    {RejectReason::kClientGone, "client_gone", 0, ""},
    {RejectReason::kDrainTimeout, "drain_timeout", 0, ""},
    {RejectReason::kBadProxyHeader, "bad_proxy_header", 0, ""},
}};

constexpr const RejectReasonInfo& describe(RejectReason reason) noexcept {
  return kRejectReasons[static_cast<std::size_t>(reason)];
}

namespace detail {
constexpr bool reasons_in_order() noexcept {
  for (std::size_t i = 0; i < kRejectReasonCount; ++i) {
    if (kRejectReasons[i].reason != static_cast<RejectReason>(i)) return false;
  }
  return true;
}
}  // namespace detail
static_assert(detail::reasons_in_order());

}  // namespace ringmaster
