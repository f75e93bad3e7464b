// Fields that stay are mostly neighbours, and are copied in whole runs of lines just as they came;
// the few that we write ourselves follow behind them, where no order is to be kept.
#include "worker/http/forwarding.h"

#include <cstdint>

#include "shared/base/ascii.h"
#include "worker/http/grammar.h"
#include "worker/http/writer.h"

namespace ringmaster {

namespace {

// Copies the field lines for which `keeps(field)` holds.
template <class Keeps>
void copy_fields(const MessageHead& head, Writer& out, Keeps keeps) noexcept {
  if (head.field_count == 0) return;
  std::uint32_t run = head.fields[0].name_at;  // from here up to the field at hand all are kept
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (keeps(head.fields[i])) continue;
    const std::uint32_t line = head.fields[i].name_at;
    if (line > run) out << std::string_view(head.bytes + run, line - run);
    run = i + 1 < head.field_count ? head.fields[i + 1].name_at : head.size - 2;
  }
  out << std::string_view(head.bytes + run, head.size - 2 - run);
}

void write_via(Writer& out, HttpVersion received, std::string_view name) noexcept {
  if (name.empty()) return;
  out << (received == HttpVersion::k11 ? "Via: 1.1 " : "Via: 1.0 ") << name << "\r\n";
}

void write_request_id(Writer& out, std::string_view id) noexcept {
  if (!id.empty()) out << "X-Request-Id: " << id << "\r\n";
}

void write_framing(Writer& out, BodyFraming framing, std::uint64_t content_length) noexcept {
  if (framing == BodyFraming::kLength) out << "Content-Length: " << content_length << "\r\n";
  if (framing == BodyFraming::kChunked) out << "Transfer-Encoding: chunked\r\n";
}

// ---- Requests ----

// Which X-Forwarded-* are already said by a peer that we believe.
struct Believed {
  bool proto = false;
  bool host = false;
};

class RequestFieldFilter {
 public:
  RequestFieldFilter(const RequestHead& head, const RequestForwarding& how,
                     Believed& believed) noexcept
      : head_(head), how_(how), believed_(believed) {}

  bool operator()(const Field& field) const noexcept {
    switch (field.id) {
      case FieldId::kUpgrade:
        return how_.keep_upgrade && head_.wants_upgrade;
      case FieldId::kHost:
      case FieldId::kXForwardedFor:
      case FieldId::kXRequestId:
        return false;  // written anew
      case FieldId::kMaxForwards:
        return head_.max_forwards < 0;
      case FieldId::kTrailer:
        return !field.hop_by_hop && head_.framing == BodyFraming::kChunked && !head_.drops_trailers;
      case FieldId::kForwarded:
        return how_.peer_is_trusted && !how_.forwarded;  // else written anew
      case FieldId::kXForwardedProto:
        believed_.proto = how_.peer_is_trusted;
        return how_.peer_is_trusted;
      case FieldId::kXForwardedHost:
        believed_.host = how_.peer_is_trusted;
        return how_.peer_is_trusted;
      case FieldId::kOther:
        return !field.hop_by_hop && (how_.peer_is_trusted || !is_x_forwarded(field));
      default:
        return !field.hop_by_hop;
    }
  }

 private:
  // X-Forwarded-Port, -Prefix, -Server and their like: forged as easily as those we know.
  bool is_x_forwarded(const Field& field) const noexcept {
    const std::string_view name = head_.name(field);
    if (to_lower(name[0]) != 'x' || name.size() < 12) return false;
    return starts_with_ignore_case(name, "x-forwarded-") ||
           // What CGI and its heirs take for the same.
           starts_with_ignore_case(name, "x_forwarded_") ||
           starts_with_ignore_case(name, "x-forwarded_") ||
           starts_with_ignore_case(name, "x_forwarded-");
  }

  const RequestHead& head_;
  const RequestForwarding& how_;
  Believed& believed_;
};

// The lists in all fields of that name as the beginning of one.
void write_members(Writer& out, const RequestHead& head, FieldId id) noexcept {
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    const Field& field = head.fields[i];
    if (field.id == id && field.value_size != 0) out << head.value(field) << ", ";
  }
}

void write_forwarded_for(Writer& out, const RequestHead& head,
                         const RequestForwarding& how) noexcept {
  out << "X-Forwarded-For: ";
  if (how.peer_is_trusted) write_members(out, head, FieldId::kXForwardedFor);
  out << how.client_ip << "\r\n";
}

// One forwarded-element (RFC 7239 section 4) behind those of a peer that we believe. An authority
// holds no byte that a quoted string would have to escape.
void write_forwarded(Writer& out, const RequestHead& head, const RequestForwarding& how) noexcept {
  out << "Forwarded: ";
  if (how.peer_is_trusted) write_members(out, head, FieldId::kForwarded);
  const bool v6 = how.client_ip.find(':') != std::string_view::npos;
  out << (v6 ? "for=\"[" : "for=") << how.client_ip << (v6 ? "]\"" : "");
  if (!head.authority.empty()) {
    const std::string_view quote = is_token(head.authority) ? "" : "\"";
    out << ";host=" << quote << head.authority << quote;
  }
  out << ";proto=" << how.scheme;
  if (!how.via_name.empty()) out << ";by=_" << how.via_name;  // an obfuscated one: section 6.3
  out << "\r\n";
}

}  // namespace

std::size_t write_request_head(const RequestHead& head, const RequestForwarding& how, char* out,
                               std::size_t capacity) noexcept {
  Writer to(out, capacity);
  Believed believed;
  const std::string_view slash = head.path_and_query.starts_with('?') ? "/" : "";
  to << head.method << " " << slash << head.path_and_query
     << " HTTP/1.1\r\nHost: " << (head.authority.empty() ? how.default_host : head.authority)
     << "\r\n";
  copy_fields(head, to, RequestFieldFilter(head, how, believed));
  write_forwarded_for(to, head, how);
  if (!believed.proto) to << "X-Forwarded-Proto: " << how.scheme << "\r\n";
  if (!believed.host && !head.authority.empty()) {
    to << "X-Forwarded-Host: " << head.authority << "\r\n";
  }
  write_request_id(to, how.request_id);
  if (how.forwarded) write_forwarded(to, head, how);
  write_via(to, head.version, how.via_name);
  if (head.max_forwards > 0) {
    to << "Max-Forwards: " << static_cast<std::uint64_t>(head.max_forwards - 1) << "\r\n";
  }
  write_framing(to, head.framing, head.content_length);
  if (how.keep_upgrade && head.wants_upgrade) to << "Connection: upgrade\r\n";
  to << "\r\n";
  return to.size();
}

// ---- Responses ----

namespace {

bool is_interim(const ResponseHead& head) noexcept {
  return head.status < 200;
}

// RFC 9110 section 8.6: the length that a body would have had, told of HEAD and 304 (Not Modified).
bool tells_length_without_body(const ResponseHead& head, const ResponseForwarding& how) noexcept {
  return how.framing == BodyFraming::kNone && !is_interim(head) && head.status != 204 &&
         head.find(FieldId::kContentLength).data() != nullptr;
}

void write_connection(Writer& out, const ResponseHead& head,
                      const ResponseForwarding& how) noexcept {
  if (how.keep_upgrade) out << "Connection: upgrade\r\n";
  if (is_interim(head)) return;
  if (!how.keep_alive || how.framing == BodyFraming::kUntilClose) {
    out << "Connection: close\r\n";
  } else if (how.client_version == HttpVersion::k10) {
    out << "Connection: keep-alive\r\n";
  }
}

}  // namespace

std::size_t write_response_head(const ResponseHead& head, const ResponseForwarding& how, char* out,
                                std::size_t capacity) noexcept {
  Writer to(out, capacity);
  const bool passes_trailers = head.framing == BodyFraming::kChunked &&
                               how.framing == BodyFraming::kChunked && !head.drops_trailers;
  to << "HTTP/1.1 " << std::uint64_t{head.status} << " " << head.reason << "\r\n";
  bool dated = is_interim(head) || how.date.empty();
  copy_fields(head, to, [&](const Field& field) {
    if (field.id == FieldId::kDate) dated = true;
    if (field.id == FieldId::kUpgrade) return how.keep_upgrade;
    if (field.id == FieldId::kTrailer && !passes_trailers) return false;
    if (field.id == FieldId::kXRequestId) return false;  // ours is written
    return !field.hop_by_hop;
  });
  write_request_id(to, how.request_id);
  write_via(to, head.version, how.via_name);
  if (!dated) to << "Date: " << how.date << "\r\n";
  if (tells_length_without_body(head, how)) {
    write_framing(to, BodyFraming::kLength, head.content_length);
  } else {
    write_framing(to, how.framing, head.content_length);
  }
  write_connection(to, head, how);
  to << "\r\n";
  return to.size();
}

}  // namespace ringmaster
