// Which of HTTP/1.1's rules a request breaks that is answered with 400: what its client reads, and
// whoever asks why. Found by the parsers, kept in the record of the request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/reject_reason.h"

namespace ringmaster {

enum class MessageFault : std::uint8_t {
  kNone,
  kRequestLine,
  kTarget,
  kFieldLine,
  kNoHost,
  kManyHosts,
  kHost,
  kFraming,
  kCoding,
  kLength,
  kConnection,
  kTraceBody,
  kMaxForwards,
  kBody,
  kTls,
  kProxyHeader,
};

// The body of the answer, without its line end.
inline constexpr std::array<std::string_view, 16> kMessageFaultTexts{
    "Bad Request: the message breaks HTTP/1.1's rules",
    "Bad Request: the request line is not METHOD SP TARGET SP HTTP/1.1",
    "Bad Request: the target is neither a path nor an http:// URL",
    "Bad Request: a header line is not NAME: VALUE, or has a character that is not allowed",
    "Bad Request: there is no Host header",
    "Bad Request: there is more than one Host header",
    "Bad Request: the Host header is not a host with an optional port",
    "Bad Request: Transfer-Encoding is there twice, beside Content-Length, or in HTTP/1.0",
    "Bad Request: Transfer-Encoding does not end in chunked, or names what cannot be a coding",
    "Bad Request: Content-Length is there twice, or is not one number",
    "Bad Request: the Connection header is not a list of names, or a very long one",
    "Bad Request: a TRACE request has no body",
    "Bad Request: Max-Forwards is there twice, or is not a number",
    "Bad Request: the chunked body is broken",
    "Bad Request: this looks like TLS, and the port speaks plain HTTP",
    "Bad Request: this looks like a PROXY header, and the port expects none",
};
static_assert(static_cast<std::size_t>(MessageFault::kProxyHeader) + 1 ==
              kMessageFaultTexts.size());

// Of memory that another process wrote, too.
constexpr std::string_view describe(MessageFault fault) noexcept {
  const auto index = static_cast<std::size_t>(fault);
  return kMessageFaultTexts[index < kMessageFaultTexts.size() ? index : 0];
}

// What a client reads whose request fails for that reason, without its line end.
constexpr std::string_view client_text(RejectReason reason, MessageFault fault) noexcept {
  return reason == RejectReason::kBadRequest ? describe(fault) : describe(reason).text;
}

}  // namespace ringmaster
