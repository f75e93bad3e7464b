// Parses message heads, strictly: llhttp for the fields, our own start lines (any method token;
// exact versions), and a check that every byte of the head is accounted for, which refuses what
// llhttp lets through and RFC 9112 forbids: bare CR or LF, NUL, obs-fold, space before a colon, odd
// white space. Pure: no sockets, no clock. One parser a connection; bytes may come in pieces of any
// size.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/answer_fault.h"
#include "shared/reject_reason.h"
#include "worker/http/field_section.h"
#include "worker/http/message_head.h"
#include "worker/http/refusal.h"

namespace ringmaster {

enum class ParseStatus : std::uint8_t { kIncomplete, kComplete, kError };

struct ParseLimits {
  std::uint32_t max_head_bytes;  // start line to empty line; one byte more is an error
  // Our pseudonym in Via: a request that names it has come round (RFC 9110 section 7.6.3). Empty:
  // not checked.
  std::string_view via_name = {};
};

class RequestParser {
 public:
  RequestParser() noexcept { reset(); }
  // Ready for the next message.
  void reset() noexcept;
  // `bytes` are all bytes of this message so far, at an address that does not change between calls
  // (after a move: reset() and parse again); bytes of further messages may follow. On kComplete
  // `head` is filled and checked whole, framing and Host included (RFC 9112 sections 3, 5, 6; RFC
  // 9110 section 7.2), head.size says where the body begins. On kError error() says what to answer.
  // In between, `head` may be used for something else. Errors are reported as early as the bytes
  // show them.
  ParseStatus parse(std::string_view bytes, const ParseLimits& limits, RequestHead& head) noexcept;
  Refusal error() const noexcept { return error_; }

 private:
  enum class Phase : std::uint8_t { kEmptyLine, kMethod, kTarget, kVersion, kFields, kFailed };

  ParseStatus read_request_line(const char* bytes, std::uint32_t end, RequestHead& head) noexcept;
  ParseStatus read_empty_line(const char* bytes, std::uint32_t end) noexcept;
  ParseStatus read_version(const char* bytes, std::uint32_t end) noexcept;
  ParseStatus read_fields(std::uint32_t end, RequestHead& head) noexcept;
  ParseStatus finish(bool line_is_stale, const ParseLimits& limits, RequestHead& head) noexcept;
  ParseStatus fill_request_line(const char* bytes, RequestHead& head) noexcept;
  [[gnu::cold]] RejectReason reason_for_length() const noexcept;
  [[gnu::cold]] MessageFault fault_of_line(const char* bytes) const noexcept;
  [[gnu::cold]] ParseStatus fail(Refusal refusal) noexcept;

  FieldSection fields_;
  Phase phase_ = Phase::kEmptyLine;
  HttpVersion version_ = HttpVersion::k11;
  Refusal error_ = MessageFault::kNone;
  // Offsets: how far the request line is read, and where its parts are.
  std::uint32_t at_ = 0;
  std::uint32_t method_ = 0;
  std::uint32_t method_end_ = 0;
  std::uint32_t target_end_ = 0;
};

class ResponseParser {
 public:
  ResponseParser() noexcept { reset(); }
  void reset() noexcept;
  // As above. `to_head`: the response answers a HEAD request (RFC 9112 section 6.3). An error means
  // a 502.
  ParseStatus parse(std::string_view bytes, const ParseLimits& limits, bool to_head,
                    ResponseHead& head) noexcept;
  // After an error.
  AnswerFault fault() const noexcept { return fault_; }

 private:
  enum class Phase : std::uint8_t { kStatus, kReason, kFields, kFailed };

  [[gnu::cold]] ParseStatus fail(AnswerFault fault) noexcept;
  ParseStatus read_status_line(const char* bytes, std::uint32_t end) noexcept;
  ParseStatus read_status(const char* bytes, std::uint32_t end) noexcept;
  ParseStatus read_fields(std::uint32_t end, bool to_head, ResponseHead& head) noexcept;
  void fill_status_line(const char* bytes, ResponseHead& head) const noexcept;

  FieldSection fields_;
  Phase phase_ = Phase::kStatus;
  AnswerFault fault_ = AnswerFault::kNone;
  std::uint32_t at_ = 0;
  std::uint32_t reason_end_ = 0;
};

}  // namespace ringmaster
