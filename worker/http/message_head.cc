// Which field a name is, and how to find one. Looked up once for every field of every message: by
// length and first letter, so that hardly any name is ever compared in vain.
#include "worker/http/message_head.h"

#include "worker/http/char_class.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

// `known` is lower-case and as long as `name`. An underscore in place of a dash makes an alias.
FieldId match(std::string_view name, std::string_view known, FieldId id) noexcept {
  bool alias = false;
  for (std::size_t i = 1; i < known.size(); ++i) {
    if (to_lower(name[i]) == known[i]) continue;
    if (name[i] != '_' || known[i] != '-') return FieldId::kOther;
    alias = true;
  }
  return alias ? FieldId::kAlias : id;
}

FieldId match_x(std::string_view name) noexcept {
  switch (name.size()) {
    case 12:
      return match(name, "x-request-id", FieldId::kXRequestId);
    case 15:
      return match(name, "x-forwarded-for", FieldId::kXForwardedFor);
    case 16:
      return match(name, "x-forwarded-host", FieldId::kXForwardedHost);
    case 17:
      return match(name, "x-forwarded-proto", FieldId::kXForwardedProto);
    default:
      return FieldId::kOther;
  }
}

FieldId match_proxy(std::string_view name) noexcept {
  switch (name.size()) {
    case 16:
      return match(name, "proxy-connection", FieldId::kProxyConnection);
    case 18:
      return match(name, "proxy-authenticate", FieldId::kProxyAuthenticate);
    case 19:
      return match(name, "proxy-authorization", FieldId::kProxyAuthorization);
    case 25:
      return match(name, "proxy-authentication-info", FieldId::kProxyAuthenticationInfo);
    default:
      return FieldId::kOther;
  }
}

FieldId match_c(std::string_view name) noexcept {
  switch (name.size()) {
    case 6:
      return match(name, "cookie", FieldId::kCookie);
    case 10:
      return match(name, "connection", FieldId::kConnection);
    case 14:
      return match(name, "content-length", FieldId::kContentLength);
    default:
      return FieldId::kOther;
  }
}

FieldId match_h(std::string_view name) noexcept {
  if (name.size() == 4) return match(name, "host", FieldId::kHost);
  if (name.size() == 14) return match(name, "http2-settings", FieldId::kHttp2Settings);
  return FieldId::kOther;
}

FieldId match_t(std::string_view name) noexcept {
  switch (name.size()) {
    case 2:
      return match(name, "te", FieldId::kTe);
    case 7:
      return match(name, "trailer", FieldId::kTrailer);
    case 17:
      return match(name, "transfer-encoding", FieldId::kTransferEncoding);
    default:
      return FieldId::kOther;
  }
}

// The letters under which only one name is known.
FieldId match_single(std::string_view name, std::string_view known, FieldId id) noexcept {
  return name.size() == known.size() ? match(name, known, id) : FieldId::kOther;
}

}  // namespace

FieldId field_id(std::string_view name) noexcept {
  if (name.empty()) return FieldId::kOther;
  switch (to_lower(name[0])) {
    case 'a':
      return match_single(name, "authorization", FieldId::kAuthorization);
    case 'c':
      return match_c(name);
    case 'd':
      return match_single(name, "date", FieldId::kDate);
    case 'e':
      return match_single(name, "expect", FieldId::kExpect);
    case 'f':
      return match_single(name, "forwarded", FieldId::kForwarded);
    case 'h':
      return match_h(name);
    case 'k':
      return match_single(name, "keep-alive", FieldId::kKeepAlive);
    case 'm':
      return match_single(name, "max-forwards", FieldId::kMaxForwards);
    case 'p':
      return match_proxy(name);
    case 't':
      return match_t(name);
    case 'u':
      return match_single(name, "upgrade", FieldId::kUpgrade);
    case 'v':
      return match_single(name, "via", FieldId::kVia);
    case 'x':
      return match_x(name);
    default:
      return FieldId::kOther;
  }
}

std::string_view MessageHead::find(FieldId id) const noexcept {
  for (std::uint32_t i = 0; i < field_count; ++i) {
    if (fields[i].id == id) return value(fields[i]);
  }
  return {};
}

std::string_view MessageHead::find(std::string_view wanted) const noexcept {
  for (std::uint32_t i = 0; i < field_count; ++i) {
    if (equals_ignore_case(name(fields[i]), wanted)) return value(fields[i]);
  }
  return {};
}

std::string_view RequestHead::path() const noexcept {
  if (path_and_query.starts_with('?')) return "/";
  return path_and_query.substr(0, path_and_query.find('?'));
}

namespace {

// The value of the pair `wanted` in one cookie-string: pairs are separated by ';' and white space.
std::string_view find_cookie(std::string_view pairs, std::string_view wanted) noexcept {
  while (!pairs.empty()) {
    const std::size_t end = pairs.find(';');
    const std::string_view pair = trim_blanks(pairs.substr(0, end));
    if (pair.size() > wanted.size() && pair[wanted.size()] == '=' && pair.starts_with(wanted)) {
      return pair.substr(wanted.size() + 1);
    }
    if (end == std::string_view::npos) break;
    pairs.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

std::string_view RequestHead::cookie(std::string_view wanted) const noexcept {
  for (std::uint32_t i = 0; i < field_count; ++i) {
    if (fields[i].id != FieldId::kCookie) continue;
    const std::string_view found = find_cookie(value(fields[i]), wanted);
    if (found.data() != nullptr) return found;
  }
  return {};
}

}  // namespace ringmaster
