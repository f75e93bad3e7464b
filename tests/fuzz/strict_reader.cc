#include "tests/fuzz/strict_reader.h"

#include <arpa/inet.h>

#include <algorithm>

namespace ringmaster::fuzz {
namespace {

// ---- Characters (RFC 5234 appendix B.1, RFC 9110 section 5.6) ----

bool is_alpha(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}
bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
bool is_obs_text(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}
bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}
bool is_token_char(char c) {
  return is_alpha(c) || is_digit(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool is_text_char(char c) {
  return is_visible(c) || is_obs_text(c) || is_blank(c);
}
bool is_target_char(char c) {
  return (is_visible(c) || is_obs_text(c)) && c != '#';
}

template <class Predicate>
bool all_of(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && all_of(text, is_token_char);
}

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Decimal digits only, at most what 64 bits hold.
std::optional<std::uint64_t> to_number(std::string_view text) {
  if (text.empty() || !all_of(text, is_digit)) return std::nullopt;
  __extension__ using Wide = unsigned __int128;
  Wide value = 0;
  for (const char c : text) {
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (value > UINT64_MAX) return std::nullopt;
  }
  return static_cast<std::uint64_t>(value);
}

// ---- Heads (RFC 9112 sections 2 to 5) ----

struct HeadLines {
  std::vector<std::string_view> lines;  // the first is the start line
  std::size_t size = 0;                 // the empty line included
};

std::optional<HeadLines> split_head(std::string_view bytes, std::size_t limit) {
  bytes = bytes.substr(0, limit);
  HeadLines head;
  for (std::size_t at = 0;;) {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = bytes.substr(at, end - at);
    at = end + 2;
    if (line.empty()) {
      head.size = at;
      return head;
    }
    head.lines.push_back(line);
  }
}

// field-line = field-name ":" OWS field-value OWS; nothing folded, nothing before the colon.
std::optional<FieldLine> read_field_line(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = line.substr(colon + 1);
  if (!is_token(name) || !all_of(value, is_text_char)) return std::nullopt;
  return FieldLine(name, trimmed(value));
}

std::optional<FieldLines> read_field_lines(const std::vector<std::string_view>& lines,
                                           std::size_t first) {
  FieldLines fields;
  for (std::size_t i = first; i < lines.size(); ++i) {
    auto field = read_field_line(lines[i]);
    if (!field) return std::nullopt;
    fields.push_back(*std::move(field));
  }
  return fields;
}

// The words of a start line, one space apart; the last takes the rest.
std::vector<std::string_view> words_of(std::string_view line, std::size_t most) {
  std::vector<std::string_view> words;
  while (words.size() + 1 < most) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) break;
    words.push_back(line.substr(0, space));
    line.remove_prefix(space + 1);
  }
  words.push_back(line);
  return words;
}

// ---- Authorities (RFC 3986 section 3.2) ----

bool is_port(std::string_view text) {
  if (text.empty()) return true;
  const auto number = to_number(text);
  return number && *number <= 65535;
}

bool is_reg_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
      i += 2;
    } else if (!is_alpha(text[i]) && !is_digit(text[i]) &&
               std::string_view("-._~!$&'()*+,;=").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return !text.empty();
}

bool is_ip_literal(const std::string& text) {
  in6_addr address;
  if (text.find('\0') == std::string::npos && ::inet_pton(AF_INET6, text.c_str(), &address) == 1) {
    return true;
  }
  const std::size_t dot = text.find('.');
  if (text.empty() || (text[0] != 'v' && text[0] != 'V') || dot == std::string::npos) return false;
  const std::string rest = text.substr(dot + 1);
  const std::string version = text.substr(1, dot - 1);
  std::string as_name = rest;  // a reg-name, but for the colons, and without percent signs
  as_name.erase(std::remove(as_name.begin(), as_name.end(), ':'), as_name.end());
  return !version.empty() && all_of(version, is_hex) && !rest.empty() &&
         as_name.find('%') == std::string::npos && (as_name.empty() || is_reg_name(as_name));
}

// host [ ":" port ], no userinfo, a host that is not empty.
bool is_authority(std::string_view text) {
  std::string_view host = text;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    return is_ip_literal(std::string(host)) &&
           (rest.empty() || (rest.starts_with(':') && is_port(rest.substr(1))));
  }
  const std::size_t colon = text.find(':');
  host = text.substr(0, colon);
  if (colon != std::string_view::npos) rest = text.substr(colon + 1);
  return is_reg_name(host) && is_port(rest);
}

// ---- Bodies (RFC 9112 sections 6 and 7) ----

// A quoted-string at the front of `text`; it is taken off.
bool take_quoted(std::string_view& text) {
  if (!text.starts_with('"')) return false;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (!is_text_char(text[i])) return false;
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\\' && (++i == text.size() || !is_text_char(text[i]))) return false;
  }
  return false;
}

bool take_token(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_token_char);
  const auto size = static_cast<std::size_t>(end - text.begin());
  text.remove_prefix(size);
  return size != 0;
}

void take_blanks(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
bool are_extensions(std::string_view text) {
  while (!text.empty()) {
    take_blanks(text);
    if (!text.starts_with(';')) return false;
    text.remove_prefix(1);
    take_blanks(text);
    if (!take_token(text)) return false;
    std::string_view after = text;
    take_blanks(after);
    if (!after.starts_with('=')) continue;
    after.remove_prefix(1);
    take_blanks(after);
    if (!(after.starts_with('"') ? take_quoted(after) : take_token(after))) return false;
    text = after;
  }
  return true;
}

// chunk-size [ chunk-ext ], without its CRLF.
std::optional<std::uint64_t> read_size_line(std::string_view line) {
  const auto digits_end = std::find_if_not(line.begin(), line.end(), is_hex);
  const auto digits = static_cast<std::size_t>(digits_end - line.begin());
  if (digits == 0 || digits > 16 || !are_extensions(line.substr(digits))) return std::nullopt;
  return std::stoull(std::string(line.substr(0, digits)), nullptr, 16);
}

void read_trailers(std::string_view bytes, std::size_t at, const StrictLimits& limits,
                   StrictMessage& message) {
  const std::size_t begin = at;
  FieldLines trailers;
  for (;;) {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos || end + 2 - begin > limits.trailer_bytes) return;
    const std::string_view line = bytes.substr(at, end - at);
    at = end + 2;
    if (line.empty()) break;
    auto field = read_field_line(line);
    if (!field) return;
    trailers.push_back(*std::move(field));
  }
  message.trailers = std::move(trailers);
  message.is_complete = true;
  message.size = at;
}

void read_chunks(std::string_view bytes, const StrictLimits& limits, StrictMessage& message) {
  for (std::size_t at = message.head_size;;) {
    const std::size_t end = bytes.find("\r\n", at);
    if (end == std::string_view::npos || end + 2 - at > limits.chunk_line_bytes) return;
    const auto size = read_size_line(bytes.substr(at, end - at));
    if (!size) return;
    at = end + 2;
    if (*size == 0) return read_trailers(bytes, at, limits, message);
    message.body += bytes.substr(at, *size);
    if (*size >= bytes.size() - at) return;  // not all of it is there, or its CRLF is not
    at += *size;
    if (bytes.substr(at, 2) != "\r\n") return;
    at += 2;
  }
}

void read_body(std::string_view bytes, const StrictLimits& limits, bool at_end,
               StrictMessage& message) {
  const std::string_view rest = bytes.substr(message.head_size);
  switch (message.framing) {
    case StrictFraming::kChunked:
      return read_chunks(bytes, limits, message);
    case StrictFraming::kUntilClose:
      message.body = rest;
      message.is_complete = at_end;
      message.size = bytes.size();
      return;
    case StrictFraming::kNone:
    case StrictFraming::kLength:
      message.body = rest.substr(0, message.length);
      message.is_complete = message.body.size() == message.length;
      message.size = message.head_size + message.body.size();
      return;
  }
}

// ---- Requests ----

// RFC 9112 section 6.3, with every ambiguity refused: one Content-Length or one Transfer-Encoding
// that says "chunked" and nothing else.
bool find_request_framing(StrictRequest& request) {
  const auto lengths = values_of(request.fields, "content-length");
  const auto codings = values_of(request.fields, "transfer-encoding");
  if (lengths.size() + codings.size() > 1) return false;
  if (!codings.empty()) {
    request.framing = StrictFraming::kChunked;
    return request.is_11 && same_name(codings[0], "chunked");
  }
  if (lengths.empty()) return true;
  const auto length = to_number(lengths[0]);
  request.framing = StrictFraming::kLength;
  request.length = length.value_or(0);
  return length.has_value();
}

// RFC 9112 section 3.2. CONNECT and authority-form are not for a balancer.
bool read_target(StrictRequest& request) {
  const std::string& target = request.target;
  if (target.empty() || !all_of(target, is_target_char) || request.method == "CONNECT") {
    return false;
  }
  request.forwarded_target = target;
  if (target[0] == '/') return true;
  if (target == "*") return request.method == "OPTIONS";
  const std::size_t scheme = same_name(target.substr(0, 7), "http://")    ? 7
                             : same_name(target.substr(0, 8), "https://") ? 8
                                                                          : 0;
  if (scheme == 0) return false;
  const std::size_t end = std::min(target.find_first_of("/?", scheme), target.size());
  request.authority = target.substr(scheme, end - scheme);
  request.forwarded_target = target.substr(end);
  if (request.forwarded_target.empty() && request.method == "OPTIONS") {
    request.forwarded_target = "*";
  } else if (!request.forwarded_target.starts_with('/')) {
    request.forwarded_target.insert(0, "/");
  }
  return is_authority(request.authority);
}

// RFC 9112 section 3.2: one Host, required in HTTP/1.1; an absolute-form target goes before it.
bool read_host(StrictRequest& request) {
  const auto hosts = values_of(request.fields, "host");
  if (hosts.size() > 1 || (hosts.empty() && request.is_11)) return false;
  if (hosts.empty()) return true;
  if (!hosts[0].empty() && !is_authority(hosts[0])) return false;
  if (request.authority.empty()) request.authority = hosts[0];
  return true;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string> values_of(const FieldLines& fields, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [field, value] : fields) {
    if (same_name(field, name)) values.push_back(value);
  }
  return values;
}

std::size_t count_of(const FieldLines& fields, std::string_view name) {
  return values_of(fields, name).size();
}

std::vector<std::string> all_members_of(const std::vector<std::string>& values) {
  std::vector<std::string> members;
  for (const std::string& value : values) {
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t comma = std::min(value.find(',', at), value.size());
      members.emplace_back(trimmed(std::string_view(value).substr(at, comma - at)));
      at = comma + 1;
    }
  }
  return members;
}

std::vector<std::string> members_of(const std::vector<std::string>& values) {
  auto members = all_members_of(values);
  std::erase(members, "");
  return members;
}

namespace {

bool read_request_head(std::string_view bytes, const StrictLimits& limits, StrictRequest& request) {
  // One empty line before a request is overlooked (RFC 9112 section 2.2).
  const std::size_t skipped = bytes.starts_with("\r\n") ? 2 : 0;
  if (limits.head_bytes < skipped) return false;
  const auto head = split_head(bytes.substr(skipped), limits.head_bytes - skipped);
  if (!head || head->lines.empty()) return false;
  const auto words = words_of(head->lines[0], 3);
  if (words.size() != 3 || !is_token(words[0])) return false;
  if (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0") return false;
  auto fields = read_field_lines(head->lines, 1);
  if (!fields || fields->size() > limits.fields) return false;
  request.method = words[0];
  request.target = words[1];
  request.is_11 = words[2] == "HTTP/1.1";
  request.fields = *std::move(fields);
  request.head_size = skipped + head->size;
  return read_target(request) && read_host(request) && find_request_framing(request);
}

}  // namespace

std::optional<StrictRequest> read_request(std::string_view bytes, const StrictLimits& limits) {
  std::optional<StrictRequest> request(std::in_place);
  if (!read_request_head(bytes, limits, *request)) return std::nullopt;
  read_body(bytes, limits, false, *request);
  return request;
}

namespace {

// ---- Responses ----

// RFC 9112 section 6.3. A list of equal lengths is one length.
bool find_response_framing(StrictResponse& response, bool to_head) {
  const auto codings = values_of(response.fields, "transfer-encoding");
  const auto lengths = values_of(response.fields, "content-length");
  const bool is_bodiless = response.status < 200 || response.status == 204;
  if (!codings.empty()) {
    const bool is_chunked = codings.size() == 1 && same_name(codings[0], "chunked");
    if (!is_chunked || !lengths.empty() || !response.is_11 || is_bodiless) return false;
    response.framing = StrictFraming::kChunked;
  } else if (!lengths.empty()) {
    const auto members = all_members_of(lengths);
    const auto length = to_number(members[0]);
    const auto agrees = [&](const auto& member) { return to_number(member) == length; };
    if (!length || !std::all_of(members.begin(), members.end(), agrees)) return false;
    response.framing = StrictFraming::kLength;
    response.length = *length;
  } else {
    response.framing = StrictFraming::kUntilClose;
  }
  if (to_head || is_bodiless || response.status == 304) {
    response.framing = StrictFraming::kNone;
    response.length = 0;
  }
  return true;
}

bool read_status_line(std::string_view line, StrictResponse& response) {
  const auto words = words_of(line, 3);
  if (words.size() < 2 || words[0].size() != 8 || !words[0].starts_with("HTTP/1.")) return false;
  if (!is_digit(words[0][7]) || words[1].size() != 3) return false;
  const auto status = to_number(words[1]);
  if (!status || *status < 100 || *status > 599) return false;
  response.is_11 = words[0][7] != '0';
  response.status = static_cast<int>(*status);
  if (words.size() == 3) response.reason = words[2];
  return all_of(response.reason, is_text_char);
}

bool read_response_head(std::string_view bytes, const StrictLimits& limits, bool to_head,
                        StrictResponse& response) {
  const auto head = split_head(bytes, limits.head_bytes);
  if (!head || head->lines.empty() || !read_status_line(head->lines[0], response)) return false;
  auto fields = read_field_lines(head->lines, 1);
  if (!fields || fields->size() > limits.fields) return false;
  response.fields = *std::move(fields);
  response.head_size = head->size;
  return find_response_framing(response, to_head);
}

}  // namespace

std::optional<StrictResponse> read_response(std::string_view bytes, const StrictLimits& limits,
                                            ResponseContext context) {
  std::optional<StrictResponse> response(std::in_place);
  if (!read_response_head(bytes, limits, context.to_head, *response)) return std::nullopt;
  read_body(bytes, limits, context.at_end, *response);
  return response;
}

}  // namespace ringmaster::fuzz
