// Which of HTTP/1.1's rules a backend's answer breaks that is replaced by a 502, or cut off: what
// the log tells, and whoever asks why. The client only learns that it was no answer. Found by the
// parsers, kept in the record of the request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringmaster {

enum class AnswerFault : std::uint8_t {
  kNone,
  kStatusLine,
  kTls,
  kFieldLine,
  kHeadTooLong,
  kFraming,
  kLength,
  kConnection,
  kUpgrade,
  kInterim,
  kBody,
};
inline constexpr std::size_t kAnswerFaultCount = 11;

// A clause about the answer.
inline constexpr std::array<std::string_view, kAnswerFaultCount> kAnswerFaultTexts{
    "",
    "its status line is not HTTP/1.1 SP STATUS SP REASON",
    "it looks like TLS, and backends are spoken to in plain HTTP",
    "a header line is not NAME: VALUE, or has a character that is not allowed",
    "its head is longer than max_header_bytes, or has more than 256 lines",
    "its Transfer-Encoding is not chunked alone, or has no place in such an answer",
    "its Content-Length is not one number",
    "its Connection header is a very long list",
    "it switches to a protocol that the client did not offer",
    "more than 16 interim (1xx) responses came in one second",
    "its chunked body is broken",
};
static_assert(static_cast<std::size_t>(AnswerFault::kBody) + 1 == kAnswerFaultCount);

// Of memory that another process wrote, too. Empty: nothing is known of it.
constexpr std::string_view describe(AnswerFault fault) noexcept {
  const auto index = static_cast<std::size_t>(fault);
  return index < kAnswerFaultCount ? kAnswerFaultTexts[index] : std::string_view();
}

}  // namespace ringmaster
