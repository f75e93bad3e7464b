// Writes the answers of Ringmaster itself.
#include "worker/http/local_response.h"

#include <algorithm>
#include <string_view>

#include "shared/base/http_date.h"
#include "worker/http/request_id.h"
#include "worker/http/writer.h"

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
static_assert(kStatusLine.size() + kDate.size() + HttpDate::kBytes + kEchoType.size() +
                  kLength.size() + kRetryAfter.size() + kAllow.size() + kRequestId.size() +
                  RequestId::kMostBytes + kKeepAlive.size() + 3 * kMaxDigits + 40 + 14 +
                  longest_text() <=
              kMaxLocalResponse);

void write_status_line(Writer& to, std::uint16_t status) noexcept {
  to << kStatusLine << std::uint64_t{status} << " " << reason_phrase(status) << "\r\n";
}

void write_date(Writer& to, std::string_view date) noexcept {
  if (date.size() == HttpDate::kBytes) to << kDate << date << "\r\n";
}

void write_length(Writer& to, std::size_t length) noexcept {
  to << kLength << std::uint64_t{length} << "\r\n";
}

// X-Request-Id, Connection, and the empty line.
void write_end(Writer& to, const LocalResponse& response) noexcept {
  if (!response.request_id.empty()) to << kRequestId << response.request_id << "\r\n";
  if (response.close) {
    to << kClose;
  } else if (response.keep_alive_10) {
    to << kKeepAlive;
  }
  to << "\r\n";
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

// The request without its secrets, piece by piece.
template <class Take>
void echo(const RequestHead& head, Take take) noexcept {
  const char* const begin = head.method.data();  // an empty line may have come before it
  const std::uint32_t fields_at = head.field_count != 0 ? head.fields[0].name_at : head.size - 2;
  take(std::string_view(begin, static_cast<std::size_t>(head.bytes + fields_at - begin)));
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (!may_be_secret(head.fields[i].id)) take(line_of(head, i));
  }
  take(std::string_view("\r\n"));
}

}  // namespace

std::size_t write_local_response(const LocalResponse& response, char* out) noexcept {
  const RejectReasonInfo& info = describe(response.reason);
  const std::string_view text = client_text(response.reason, response.fault);
  Writer to(out, kMaxLocalResponse);
  write_status_line(to, info.status);
  write_date(to, response.date);
  to << kType;
  write_length(to, text.size() + 1);
  if (info.status == 405) to << kAllow;
  if (response.retry_after_s != 0) {
    to << kRetryAfter << std::uint64_t{response.retry_after_s} << "\r\n";
  }
  write_end(to, response);
  if (!response.head_only) to << text << "\n";
  return to.size();
}

std::size_t write_recipient_response(const RequestHead& head, const LocalResponse& response,
                                     char* out) noexcept {
  const bool traces = head.method == "TRACE";
  Writer to(out, head.size + kMaxLocalResponse);
  write_status_line(to, describe(response.reason).status);
  write_date(to, response.date);
  to << (traces ? kEchoType : kAllow);
  std::size_t length = 0;
  if (traces) echo(head, [&](std::string_view piece) { length += piece.size(); });
  write_length(to, length);
  write_end(to, response);
  if (traces) echo(head, [&](std::string_view piece) { to << piece; });
  return to.size();
}

}  // namespace ringmaster
