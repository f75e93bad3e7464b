// Writes the answers of Ringmaster itself.
#include "worker/http/local_response.h"

#include <charconv>
#include <cstring>
#include <string_view>

#include "worker/http/request_id.h"

namespace ringmaster {

namespace {

std::string_view reason_phrase(std::uint16_t status) noexcept {
  switch (status) {
    case 400:
      return "Bad Request";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 508:
      return "Loop Detected";
    default:
      return "";
  }
}

constexpr std::size_t kMaxDigits = 20;
constexpr std::string_view kStatusLine = "HTTP/1.1 ";
constexpr std::string_view kType = "Content-Type: text/plain\r\nContent-Length: ";
constexpr std::string_view kRetryAfter = "Retry-After: ";
constexpr std::string_view kAllow =
    "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\r\n";  // RFC 9110 section 15.5.6
constexpr std::string_view kRequestId = "X-Request-Id: ";
constexpr std::string_view kClose = "Connection: close\r\n";
constexpr std::string_view kKeepAlive = "Connection: keep-alive\r\n";

constexpr std::size_t longest_text() noexcept {
  std::size_t longest = 0;
  for (const auto& info : kRejectReasons) {
    if (info.text.size() > longest) longest = info.text.size();
  }
  return longest;
}
// Everything at once, line ends and all: the buffer always suffices, so that nobody needs to check.
static_assert(kStatusLine.size() + kType.size() + kRetryAfter.size() + kAllow.size() +
                  kRequestId.size() + RequestId::kMostBytes + kKeepAlive.size() + 3 * kMaxDigits +
                  40 + 12 + longest_text() <=
              kMaxLocalResponse);

char* put(char* at, std::string_view text) noexcept {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

char* put(char* at, std::uint64_t number) noexcept {
  return std::to_chars(at, at + kMaxDigits, number).ptr;
}

}  // namespace

std::size_t write_local_response(const LocalResponse& response, char* out) noexcept {
  const RejectReasonInfo& info = describe(response.reason);
  char* at = put(out, kStatusLine);
  at = put(at, std::uint64_t{info.status});
  at = put(at, " ");
  at = put(at, reason_phrase(info.status));
  at = put(at, "\r\n");
  at = put(at, kType);
  at = put(at, std::uint64_t{info.text.size() + 1});
  at = put(at, "\r\n");
  if (info.status == 405) at = put(at, kAllow);
  if (response.retry_after_s != 0) {
    at = put(at, kRetryAfter);
    at = put(at, std::uint64_t{response.retry_after_s});
    at = put(at, "\r\n");
  }
  if (!response.request_id.empty()) {
    at = put(at, kRequestId);
    at = put(at, response.request_id);
    at = put(at, "\r\n");
  }
  if (response.close) {
    at = put(at, kClose);
  } else if (response.keep_alive_10) {
    at = put(at, kKeepAlive);
  }
  at = put(at, "\r\n");
  if (!response.head_only) {
    at = put(at, info.text);
    at = put(at, "\n");
  }
  return static_cast<std::size_t>(at - out);
}

}  // namespace ringmaster
