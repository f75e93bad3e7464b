#include "worker/http/response_meaning.h"

#include <optional>

#include "worker/http/connection_options.h"
#include "worker/http/grammar.h"
#include "worker/http/known_fields.h"

namespace ringmaster {
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
AnswerFault find_response_framing(ResponseHead& head, const KnownFields& known,
                                  bool to_head) noexcept {
  const bool encoded = known.transfer_encoding.count != 0;
  const bool never_a_body = head.status < 200 || head.status == 204;
  if (encoded && (never_a_body || !is_chunked(head, known))) return AnswerFault::kFraming;
  if (known.content_length.count != 0 && !read_agreed_length(head)) return AnswerFault::kLength;
  if (to_head || never_a_body || head.status == 304) {
    head.framing = BodyFraming::kNone;
  } else if (encoded) {
    head.framing = BodyFraming::kChunked;
  } else {
    head.framing =
        known.content_length.count != 0 ? BodyFraming::kLength : BodyFraming::kUntilClose;
  }
  return AnswerFault::kNone;
}

}  // namespace

AnswerFault interpret_response_fields(ResponseHead& head, bool to_head) noexcept {
  reset_meaning(head);
  const KnownFields known = find_known_fields(head);
  const AnswerFault fault = find_response_framing(head, known, to_head);
  if (fault != AnswerFault::kNone) return fault;
  ConnectionOptions options;
  if (known.connection.count != 0) options = read_connection(head);
  if (options.too_many) return AnswerFault::kConnection;
  // A length where no body can be: who believes it may send one, and then it is in the way.
  const bool announces_nonsense =
      (head.status < 200 || head.status == 204) && head.content_length != 0;
  head.keep_alive = !options.malformed && head.framing != BodyFraming::kUntilClose &&
                    !announces_nonsense && lets_connection_live(head.version, options);
  head.drops_trailers = options.names_trailers;
  head.wants_upgrade = wants_upgrade(head, options, known);
  return AnswerFault::kNone;
}

}  // namespace ringmaster
