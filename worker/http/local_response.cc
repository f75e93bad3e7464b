// Writes the answers of Ringmaster itself.
#include "worker/http/local_response.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "worker/http/request_id.h"

namespace ringmaster {

namespace {

std::string_view reason_phrase(std::uint16_t status) noexcept {
  switch (status) {
    case 200:
      return "OK";
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
constexpr std::string_view kDate = "Date: ";
constexpr std::size_t kDateBytes = 29;
constexpr std::string_view kType = "Content-Type: text/plain\r\n";
constexpr std::string_view kEchoType = "Content-Type: message/http\r\n";
constexpr std::string_view kLength = "Content-Length: ";
constexpr std::string_view kRetryAfter = "Retry-After: ";
constexpr std::string_view kAllow =
    "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\r\n";  // RFC 9110 section 15.5.6
constexpr std::string_view kRequestId = "X-Request-Id: ";
constexpr std::string_view kClose = "Connection: close\r\n";
constexpr std::string_view kKeepAlive = "Connection: keep-alive\r\n";

constexpr std::size_t longest_text() noexcept {
  std::size_t longest = 0;
  for (const auto& info : kRejectReasons) longest = std::max(longest, info.text.size());
  for (const std::string_view text : kMessageFaultTexts) longest = std::max(longest, text.size());
  return longest;
}
// Everything at once, line ends and all: the buffer always suffices, so that nobody needs to check.
static_assert(kStatusLine.size() + kDate.size() + kDateBytes + kEchoType.size() + kLength.size() +
                  kRetryAfter.size() + kAllow.size() + kRequestId.size() + RequestId::kMostBytes +
                  kKeepAlive.size() + 3 * kMaxDigits + 40 + 14 + longest_text() <=
              kMaxLocalResponse);

char* put(char* at, std::string_view text) noexcept {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

char* put(char* at, std::uint64_t number) noexcept {
  return std::to_chars(at, at + kMaxDigits, number).ptr;
}

char* put_status_line(char* at, std::uint16_t status) noexcept {
  at = put(at, kStatusLine);
  at = put(at, std::uint64_t{status});
  at = put(at, " ");
  at = put(at, reason_phrase(status));
  return put(at, "\r\n");
}

char* put_date(char* at, std::string_view date) noexcept {
  if (date.size() != kDateBytes) return at;
  at = put(at, kDate);
  at = put(at, date);
  return put(at, "\r\n");
}

char* put_length(char* at, std::size_t length) noexcept {
  at = put(at, kLength);
  at = put(at, std::uint64_t{length});
  return put(at, "\r\n");
}

// X-Request-Id, Connection, and the empty line.
char* put_end(char* at, const LocalResponse& response) noexcept {
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
  return put(at, "\r\n");
}

bool may_be_secret(FieldId id) noexcept {
  return id == FieldId::kAuthorization || id == FieldId::kCookie ||
         id == FieldId::kProxyAuthorization;
}

// A field's line, its end included.
std::string_view line_of(const MessageHead& head, std::uint32_t i) noexcept {
  const std::uint32_t begin = head.fields[i].name_at;
  const bool last = i + 1 == head.field_count;
  return {head.bytes + begin, (last ? head.size - 2 : head.fields[i + 1].name_at) - begin};
}

// The request without its secrets: written to `at`, if there is one. Returns its length.
std::size_t echo(const RequestHead& head, char* at) noexcept {
  std::size_t size = 0;
  const auto add = [&](std::string_view text) {
    if (at != nullptr) at = put(at, text);
    size += text.size();
  };
  const char* const begin = head.method.data();  // an empty line may have come before it
  const std::uint32_t fields_at = head.field_count != 0 ? head.fields[0].name_at : head.size - 2;
  add({begin, static_cast<std::size_t>(head.bytes + fields_at - begin)});
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (!may_be_secret(head.fields[i].id)) add(line_of(head, i));
  }
  add("\r\n");
  return size;
}

}  // namespace

std::size_t write_local_response(const LocalResponse& response, char* out) noexcept {
  const RejectReasonInfo& info = describe(response.reason);
  const bool is_bad = response.reason == RejectReason::kBadRequest;
  const std::string_view text = is_bad ? describe(response.fault) : info.text;
  char* at = put_status_line(out, info.status);
  at = put_date(at, response.date);
  at = put(at, kType);
  at = put_length(at, text.size() + 1);
  if (info.status == 405) at = put(at, kAllow);
  if (response.retry_after_s != 0) {
    at = put(at, kRetryAfter);
    at = put(at, std::uint64_t{response.retry_after_s});
    at = put(at, "\r\n");
  }
  at = put_end(at, response);
  if (!response.head_only) {
    at = put(at, text);
    at = put(at, "\n");
  }
  return static_cast<std::size_t>(at - out);
}

std::size_t write_recipient_response(const RequestHead& head, const LocalResponse& response,
                                     char* out) noexcept {
  const bool traces = head.method == "TRACE";
  char* at = put_status_line(out, describe(response.reason).status);
  at = put_date(at, response.date);
  at = put(at, traces ? kEchoType : kAllow);
  at = put_length(at, traces ? echo(head, nullptr) : 0);
  at = put_end(at, response);
  if (traces) at += echo(head, at);
  return static_cast<std::size_t>(at - out);
}

}  // namespace ringmaster
