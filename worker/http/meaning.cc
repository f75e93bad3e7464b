// The fields' meaning, for requests and responses. One walk over the fields finds those that
// matter; most requests carry one or two of them.
#include "worker/http/meaning.h"

#include <algorithm>
#include <limits>

#include "worker/http/char_class.h"
#include "worker/http/connection_options.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

// How often a field occurs, and where first.
struct Sightings {
  const Field* first = nullptr;
  std::uint32_t count = 0;

  void add(const Field& field) noexcept {
    if (count++ == 0) first = &field;
  }
};

struct KnownFields {
  Sightings connection, content_length, expect, host, max_forwards, transfer_encoding, upgrade, via;
};

KnownFields collect(const MessageHead& head) noexcept {
  KnownFields known;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    switch (field.id) {
      case FieldId::kConnection:
        known.connection.add(field);
        break;
      case FieldId::kContentLength:
        known.content_length.add(field);
        break;
      case FieldId::kExpect:
        known.expect.add(field);
        break;
      case FieldId::kHost:
        known.host.add(field);
        break;
      case FieldId::kMaxForwards:
        known.max_forwards.add(field);
        break;
      case FieldId::kTransferEncoding:
        known.transfer_encoding.add(field);
        break;
      case FieldId::kUpgrade:
        known.upgrade.add(field);
        break;
      case FieldId::kVia:
        known.via.add(field);
        break;
      default:
        break;
    }
  }
  return known;
}

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

// RFC 9112 section 9.3.
bool lets_connection_live(HttpVersion version, const ConnectionOptions& options) noexcept {
  return !options.close && (version == HttpVersion::k11 || options.keep_alive);
}

MaybeRefusal apply_connection(RequestHead& head, const KnownFields& known) noexcept {
  ConnectionOptions options;
  if (known.connection.count != 0) options = read_connection(head);
  if (options.malformed || options.too_many) return MessageFault::kConnection;
  head.keep_alive = lets_connection_live(head.version, options);
  head.drops_trailers = options.names_trailers;
  head.wants_upgrade = options.upgrade && known.upgrade.count != 0 &&
                       head.version == HttpVersion::k11 && offers_upgrade(head);
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

void reset_meaning(MessageHead& head) noexcept {
  head.framing = BodyFraming::kNone;
  head.content_length = 0;
  head.wants_upgrade = false;
}

}  // namespace

MaybeRefusal interpret_request_fields(RequestHead& head, std::string_view via_name) noexcept {
  reset_meaning(head);
  head.expects_continue = false;
  head.max_forwards = -1;
  const KnownFields known = collect(head);
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

namespace {

// Every Content-Length, in a list or a field of its own, must say the same (RFC 9112 section 6.3,
// rule 5).
bool read_agreed_length(ResponseHead& head) noexcept {
  std::optional<std::uint64_t> agreed;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].id != FieldId::kContentLength) continue;
    std::string_view list = head.value(head.fields[i]);
    std::string_view member;
    while (next_member(list, member)) {
      const auto value = parse_body_length(member);
      if (!value || (agreed && *agreed != *value)) return false;
      agreed = value;
    }
  }
  head.content_length = agreed.value_or(0);
  return true;
}

bool is_chunked(const ResponseHead& head, const KnownFields& known) noexcept {
  return known.transfer_encoding.count == 1 && known.content_length.count == 0 &&
         head.version == HttpVersion::k11 &&
         equals_ignore_case(head.value(*known.transfer_encoding.first), "chunked");
}

// RFC 9112 section 6.3.
bool find_response_framing(ResponseHead& head, const KnownFields& known, bool to_head) noexcept {
  const bool encoded = known.transfer_encoding.count != 0;
  const bool never_a_body = head.status < 200 || head.status == 204;
  if (encoded && (never_a_body || !is_chunked(head, known))) return false;
  if (known.content_length.count != 0 && !read_agreed_length(head)) return false;
  if (to_head || never_a_body || head.status == 304) {
    head.framing = BodyFraming::kNone;
  } else if (encoded) {
    head.framing = BodyFraming::kChunked;
  } else {
    head.framing =
        known.content_length.count != 0 ? BodyFraming::kLength : BodyFraming::kUntilClose;
  }
  return true;
}

}  // namespace

bool interpret_response_fields(ResponseHead& head, bool to_head) noexcept {
  reset_meaning(head);
  const KnownFields known = collect(head);
  if (!find_response_framing(head, known, to_head)) return false;
  ConnectionOptions options;
  if (known.connection.count != 0) options = read_connection(head);
  if (options.too_many) return false;
  // A length where no body can be: who believes it may send one, and then it is in the way.
  const bool announces_nonsense =
      (head.status < 200 || head.status == 204) && head.content_length != 0;
  head.keep_alive = !options.malformed && head.framing != BodyFraming::kUntilClose &&
                    !announces_nonsense && lets_connection_live(head.version, options);
  head.drops_trailers = options.names_trailers;
  head.wants_upgrade = options.upgrade && known.upgrade.count != 0 &&
                       head.version == HttpVersion::k11 && offers_upgrade(head);
  return true;
}

}  // namespace ringmaster
