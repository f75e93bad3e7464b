// Start lines are read here, byte by byte and exactly; field lines by FieldSection, which uses
// llhttp. Both remember how far they came, so that the work is linear however the bytes arrive.
#include "worker/http/parser.h"

#include <algorithm>
#include <cstring>

#include "worker/http/char_class.h"
#include "worker/http/request_meaning.h"
#include "worker/http/request_target.h"
#include "worker/http/response_meaning.h"

namespace ringmaster {

namespace {

// Does the text from `at` on follow `pattern`, as far as it goes? A '0' in it stands for any digit.
bool follows(const char* at, std::uint32_t size, std::string_view pattern) noexcept {
  for (std::uint32_t i = 0; i < size && i < pattern.size(); ++i) {
    const bool fits = pattern[i] == '0' ? is_char(at[i], kDigitChar) : at[i] == pattern[i];
    if (!fits) return false;
  }
  return true;
}

std::uint32_t skip(const char* bytes, std::uint32_t at, std::uint32_t end, CharClass of) noexcept {
  while (at < end && is_char(bytes[at], of)) ++at;
  return at;
}

constexpr std::string_view kVersion11 = "HTTP/1.1\r\n";
constexpr std::string_view kVersionEnd = "HTTP/0.0\r\n";  // as patterns for follows()
constexpr std::string_view kStatusStart = "HTTP/1.0 000";
// Begins what a TLS server tells who speaks no TLS (RFC 8446 section 5.1).
constexpr char kTlsAlert = '\x15';

std::uint32_t readable(std::string_view bytes, const ParseLimits& limits) noexcept {
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), limits.max_head_bytes));
}

}  // namespace

// ---- Requests ----

void RequestParser::reset() noexcept {
  phase_ = Phase::kEmptyLine;
  at_ = 0;
  error_ = MessageFault::kNone;
}

ParseStatus RequestParser::fail(Refusal refusal) noexcept {
  phase_ = Phase::kFailed;
  error_ = refusal;
  return ParseStatus::kError;
}

ParseStatus RequestParser::parse(std::string_view bytes, const ParseLimits& limits,
                                 RequestHead& head) noexcept {
  if (phase_ == Phase::kFailed) return ParseStatus::kError;
  const std::uint32_t end = readable(bytes, limits);
  head.bytes = bytes.data();
  ParseStatus status = ParseStatus::kComplete;
  const bool line_is_read = phase_ == Phase::kFields;
  if (!line_is_read) status = read_request_line(bytes.data(), end, head);
  if (status == ParseStatus::kComplete) status = read_fields(end, head);
  if (status == ParseStatus::kComplete) status = finish(line_is_read, limits, head);
  if (status == ParseStatus::kIncomplete && bytes.size() > end) return fail(reason_for_length());
  return status;
}

// What of a head that is too long is to blame (RFC 9112 section 3, RFC 6585 section 5).
RejectReason RequestParser::reason_for_length() const noexcept {
  if (phase_ == Phase::kFields) return RejectReason::kHeaderTooLarge;
  return phase_ == Phase::kMethod ? RejectReason::kNotImplemented : RejectReason::kTargetTooLong;
}

// request-line = method SP request-target SP HTTP-version CRLF, and nothing else (RFC 9112 section
// 3).
ParseStatus RequestParser::read_request_line(const char* bytes, std::uint32_t end,
                                             RequestHead& head) noexcept {
  if (phase_ == Phase::kEmptyLine) {
    const ParseStatus status = read_empty_line(bytes, end);
    if (status != ParseStatus::kComplete) return status;
  }
  if (phase_ == Phase::kMethod) {
    at_ = skip(bytes, at_, end, kTokenChar);
    if (at_ == end) return ParseStatus::kIncomplete;
    if (bytes[at_] != ' ' || at_ == method_) return fail(fault_of_line(bytes));
    method_end_ = at_++;
    // Known before anything behind it can be refused: an answer to HEAD never has a body.
    head.is_head = std::string_view(bytes + method_, method_end_ - method_) == "HEAD";
    phase_ = Phase::kTarget;
  }
  if (phase_ == Phase::kTarget) {
    at_ = skip(bytes, at_, end, kTargetChar);
    if (at_ == end) return ParseStatus::kIncomplete;
    if (bytes[at_] != ' ' || at_ == method_end_ + 1) return fail(MessageFault::kRequestLine);
    target_end_ = at_++;
    phase_ = Phase::kVersion;
  }
  const ParseStatus status = read_version(bytes, end);
  if (status != ParseStatus::kComplete) return status;
  fields_.start(at_);
  phase_ = Phase::kFields;
  return fill_request_line(bytes, head);
}

// One empty line before the request line is ignored: old clients sent one behind a body (RFC 9112
// section 2.2).
ParseStatus RequestParser::read_empty_line(const char* bytes, std::uint32_t end) noexcept {
  if (at_ == end) return ParseStatus::kIncomplete;
  if (bytes[at_] == '\r') {
    if (end - at_ < 2) return ParseStatus::kIncomplete;
    if (bytes[at_ + 1] != '\n') return fail(MessageFault::kRequestLine);
    at_ += 2;
  }
  method_ = at_;
  phase_ = Phase::kMethod;
  return ParseStatus::kComplete;
}

ParseStatus RequestParser::read_version(const char* bytes, std::uint32_t end) noexcept {
  const char* const text = bytes + at_;
  const std::uint32_t size = end - at_;
  if (size >= kVersion11.size() && std::memcmp(text, kVersion11.data(), kVersion11.size()) == 0) {
    version_ = HttpVersion::k11;  // nearly always, and found in one comparison
    at_ += static_cast<std::uint32_t>(kVersion11.size());
    return ParseStatus::kComplete;
  }
  if (!follows(text, size, kVersionEnd)) return fail(fault_of_line(bytes));
  if (size < kVersionEnd.size()) return ParseStatus::kIncomplete;
  const char major = text[5];
  const char minor = text[7];
  if (major != '1' || minor > '1') return fail(RejectReason::kBadVersion);
  version_ = minor == '1' ? HttpVersion::k11 : HttpVersion::k10;
  at_ += static_cast<std::uint32_t>(kVersionEnd.size());
  return ParseStatus::kComplete;
}

// Who speaks another protocol here learns which; a TLS record of a handshake begins with 22.
MessageFault RequestParser::fault_of_line(const char* bytes) const noexcept {
  if (bytes[method_] == '\x16') return MessageFault::kTls;
  const std::string_view method(bytes + method_,
                                phase_ == Phase::kMethod ? 0 : method_end_ - method_);
  return method == "PROXY" ? MessageFault::kProxyHeader : MessageFault::kRequestLine;
}

ParseStatus RequestParser::fill_request_line(const char* bytes, RequestHead& head) noexcept {
  head.version = version_;
  head.method = {bytes + method_, method_end_ - method_};
  head.target = {bytes + method_end_ + 1, target_end_ - method_end_ - 1};
  const auto refusal = interpret_request_line(head);
  return refusal ? fail(*refusal) : ParseStatus::kComplete;
}

ParseStatus RequestParser::read_fields(std::uint32_t end, RequestHead& head) noexcept {
  switch (fields_.parse(end, head)) {
    case FieldSection::Result::kIncomplete:
      return ParseStatus::kIncomplete;
    case FieldSection::Result::kMalformed:
      return fail(MessageFault::kFieldLine);
    case FieldSection::Result::kTooMany:
      return fail(RejectReason::kHeaderTooLarge);
    case FieldSection::Result::kComplete:
      break;
  }
  return ParseStatus::kComplete;
}

// All bytes are there. What an earlier call put into `head` may be gone.
ParseStatus RequestParser::finish(bool line_is_stale, const ParseLimits& limits,
                                  RequestHead& head) noexcept {
  if (line_is_stale) fill_request_line(head.bytes, head);
  head.size = fields_.end();
  const auto refusal = interpret_request_fields(head, limits.via_name);
  return refusal ? fail(*refusal) : ParseStatus::kComplete;
}

// ---- Responses ----

void ResponseParser::reset() noexcept {
  phase_ = Phase::kStatus;
  at_ = 0;
}

ParseStatus ResponseParser::parse(std::string_view bytes, const ParseLimits& limits, bool to_head,
                                  ResponseHead& head) noexcept {
  if (phase_ == Phase::kFailed) return ParseStatus::kError;
  const std::uint32_t end = readable(bytes, limits);
  head.bytes = bytes.data();
  ParseStatus status = ParseStatus::kComplete;
  if (phase_ != Phase::kFields) status = read_status_line(bytes.data(), end);
  if (status == ParseStatus::kComplete) status = read_fields(end, to_head, head);
  const bool is_too_long = status == ParseStatus::kIncomplete && bytes.size() > end;
  return is_too_long ? fail(AnswerFault::kHeadTooLong) : status;
}

ParseStatus ResponseParser::fail(AnswerFault fault) noexcept {
  phase_ = Phase::kFailed;
  fault_ = fault;
  return ParseStatus::kError;
}

// status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF (RFC 9112 section 4).
ParseStatus ResponseParser::read_status_line(const char* bytes, std::uint32_t end) noexcept {
  if (phase_ == Phase::kStatus) {
    const ParseStatus status = read_status(bytes, end);
    if (status != ParseStatus::kComplete) return status;
    phase_ = Phase::kReason;
  }
  at_ = skip(bytes, at_, end, kFieldChar);
  if (at_ == end) return ParseStatus::kIncomplete;
  if (bytes[at_] != '\r') return fail(AnswerFault::kStatusLine);
  if (at_ + 1 == end) return ParseStatus::kIncomplete;
  if (bytes[at_ + 1] != '\n') return fail(AnswerFault::kStatusLine);
  reason_end_ = at_;
  at_ += 2;
  fields_.start(at_);
  phase_ = Phase::kFields;
  return ParseStatus::kComplete;
}

// Up to the status code and what ends it: a space, or a CR where even that was left out with the
// reason, as some servers do: nothing can be mistaken for it.
ParseStatus ResponseParser::read_status(const char* bytes, std::uint32_t end) noexcept {
  const auto size = static_cast<std::uint32_t>(kStatusStart.size());
  if (!follows(bytes, end, kStatusStart)) {
    return fail(bytes[0] == kTlsAlert ? AnswerFault::kTls : AnswerFault::kStatusLine);
  }
  // Codes outside 100..599 are invalid (RFC 9110 section 15).
  if (end > 9 && (bytes[9] < '1' || bytes[9] > '5')) return fail(AnswerFault::kStatusLine);
  if (end <= size) return ParseStatus::kIncomplete;
  if (bytes[size] != ' ' && bytes[size] != '\r') return fail(AnswerFault::kStatusLine);
  at_ = size;
  return ParseStatus::kComplete;
}

void ResponseParser::fill_status_line(const char* bytes, ResponseHead& head) const noexcept {
  // A minor version above ours is to be read as ours (RFC 9110 section 2.5).
  head.version = bytes[7] == '0' ? HttpVersion::k10 : HttpVersion::k11;
  const auto digit = [bytes](int i) { return bytes[i] - '0'; };
  head.status = static_cast<std::uint16_t>(digit(9) * 100 + digit(10) * 10 + digit(11));
  const auto reason = std::min(static_cast<std::uint32_t>(kStatusStart.size()) + 1, reason_end_);
  head.reason = {bytes + reason, reason_end_ - reason};
}

ParseStatus ResponseParser::read_fields(std::uint32_t end, bool to_head,
                                        ResponseHead& head) noexcept {
  switch (fields_.parse(end, head)) {
    case FieldSection::Result::kIncomplete:
      return ParseStatus::kIncomplete;
    case FieldSection::Result::kMalformed:
      return fail(AnswerFault::kFieldLine);
    case FieldSection::Result::kTooMany:
      return fail(AnswerFault::kHeadTooLong);
    case FieldSection::Result::kComplete:
      break;
  }
  fill_status_line(head.bytes, head);
  head.size = fields_.end();
  const AnswerFault fault = interpret_response_fields(head, to_head);
  return fault == AnswerFault::kNone ? ParseStatus::kComplete : fail(fault);
}

}  // namespace ringmaster
