#include "worker/http/request_meaning.h"

#include <algorithm>
#include <limits>

#include "worker/http/char_class.h"
#include "worker/http/connection_options.h"
#include "worker/http/grammar.h"
#include "worker/http/known_fields.h"

namespace ringmaster {
namespace {

using MaybeRefusal = std::optional<Refusal>;

// RFC 9112 section 3.2: one Host, valid, and in HTTP/1.1 required; an empty one would name nobody
// (RFC 9110 section 4.2.1). An absolute-form target overrides it.
MaybeRefusal check_host(RequestHead& head, const Sightings& host) noexcept {
  if (host.count > 1) return MessageFault::kManyHosts;
  if (host.count == 0) {
    if (head.version == HttpVersion::k11) return MessageFault::kNoHost;
    return std::nullopt;
  }
  const std::string_view value = head.value(*host.first);
  const bool names_nobody = value.empty() && head.version == HttpVersion::k10;
  if (!names_nobody && !is_authority(value)) return MessageFault::kHost;
  if (head.form != RequestHead::TargetForm::kAbsolute) head.authority = value;
  return std::nullopt;
}

// A Transfer-Encoding that is not just "chunked": 501 if it is sound but beyond us, else 400.
Refusal judge_codings(std::string_view codings) noexcept {
  std::string_view coding;
  bool chunked = false;
  while (next_member(codings, coding)) {
    if (chunked || !is_token(coding)) return MessageFault::kCoding;
    chunked = equals_ignore_case(coding, "chunked");
  }
  // Without a final chunked the end of a request cannot be found (RFC 9112 section 6.3, rule 4).
  return chunked ? Refusal(RejectReason::kNotImplemented) : MessageFault::kCoding;
}

// RFC 9112 sections 6.1 to 6.3. Whatever two implementations have ever read differently is refused.
MaybeRefusal find_request_framing(RequestHead& head, const KnownFields& known) noexcept {
  const Sightings& length = known.content_length;
  const Sightings& encoding = known.transfer_encoding;
  if (encoding.count != 0) {
    if (encoding.count > 1 || length.count != 0 || head.version == HttpVersion::k10) {
      return MessageFault::kFraming;
    }
    const std::string_view codings = head.value(*encoding.first);
    if (!equals_ignore_case(codings, "chunked")) return judge_codings(codings);
    head.framing = BodyFraming::kChunked;
  } else if (length.count != 0) {
    const auto value = parse_body_length(head.value(*length.first));
    if (length.count > 1 || !value) return MessageFault::kLength;
    head.framing = BodyFraming::kLength;
    head.content_length = *value;
  }
  return std::nullopt;
}

MaybeRefusal apply_connection(RequestHead& head, const KnownFields& known) noexcept {
  ConnectionOptions options;
  if (known.connection.count != 0) options = read_connection(head);
  if (options.malformed || options.too_many) return MessageFault::kConnection;
  head.keep_alive = lets_connection_live(head.version, options);
  head.drops_trailers = options.names_trailers;
  head.wants_upgrade = wants_upgrade(head, options, known);
  return std::nullopt;
}

bool has_body(const MessageHead& head) noexcept {
  return head.framing == BodyFraming::kChunked || head.content_length != 0;
}

// RFC 9110 section 10.1.1: only 100-continue is known; in HTTP/1.0 it means nothing and goes no
// further.
MaybeRefusal read_expectations(RequestHead& head) noexcept {
  bool any = false;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    Field& field = head.fields[i];
    if (field.id != FieldId::kExpect) continue;
    std::string_view list = head.value(field);
    std::string_view expectation;
    while (next_member(list, expectation)) {
      if (expectation.empty()) continue;
      if (!equals_ignore_case(expectation, "100-continue")) return RejectReason::kExpectationFailed;
      any = true;
    }
    field.hop_by_hop = head.version == HttpVersion::k10;
  }
  head.expects_continue = any && head.version == HttpVersion::k11 && has_body(head);
  return std::nullopt;
}

// RFC 9110 section 7.6.2: it counts for OPTIONS and TRACE only. More than we can count is that
// much.
MaybeRefusal read_max_forwards(RequestHead& head, const Sightings& max_forwards) noexcept {
  if (head.method != "OPTIONS" && head.method != "TRACE") return std::nullopt;
  const std::string_view digits = head.value(*max_forwards.first);
  if (max_forwards.count > 1 || digits.empty() || !are_chars(digits, kDigitChar)) {
    return MessageFault::kMaxForwards;
  }
  constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
  const std::uint64_t value = std::min(parse_decimal(digits).value_or(kMost), kMost);
  head.max_forwards = static_cast<std::int32_t>(value);
  return std::nullopt;
}

// The length of the first member of a Via list: commas in a comment do not end it.
std::size_t via_member_length(std::string_view via) noexcept {
  int depth = 0;
  for (std::size_t i = 0; i < via.size(); ++i) {
    if (via[i] == '(') ++depth;
    if (via[i] == ')' && depth > 0) --depth;
    if (via[i] == '\\' && depth > 0) ++i;
    if (depth == 0 && i < via.size() && via[i] == ',') return i;
  }
  return via.size();
}

// Via = #( received-protocol RWS received-by [ RWS comment ] ); is one received-by `name`?
bool names(std::string_view via, std::string_view name) noexcept {
  while (!via.empty()) {
    const std::size_t length = via_member_length(via);
    const std::string_view member = trim_blanks(via.substr(0, length));
    const std::size_t protocol_end = std::min(member.find_first_of(" \t"), member.size());
    const std::string_view by = trim_blanks(member.substr(protocol_end));
    if (by.substr(0, by.find_first_of(" \t(")) == name) return true;
    via.remove_prefix(std::min(length + 1, via.size()));
  }
  return false;
}

bool came_round(const RequestHead& head, std::string_view via_name) noexcept {
  if (via_name.empty()) return false;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    if (field.id == FieldId::kVia && names(head.value(field), via_name)) return true;
  }
  return false;
}

}  // namespace

MaybeRefusal interpret_request_fields(RequestHead& head, std::string_view via_name) noexcept {
  reset_meaning(head);
  head.expects_continue = false;
  head.max_forwards = -1;
  const KnownFields known = find_known_fields(head);
  if (const auto refusal = check_host(head, known.host)) return refusal;
  if (const auto refusal = find_request_framing(head, known)) return refusal;
  if (const auto refusal = apply_connection(head, known)) return refusal;
  if (head.method == "TRACE" && has_body(head)) return MessageFault::kTraceBody;
  if (known.max_forwards.count != 0) {
    if (const auto refusal = read_max_forwards(head, known.max_forwards)) return refusal;
  }
  if (known.expect.count != 0) {
    if (const auto refusal = read_expectations(head)) return refusal;
  }
  if (known.via.count != 0 && came_round(head, via_name)) return RejectReason::kLoopDetected;
  return std::nullopt;
}

}  // namespace ringmaster
