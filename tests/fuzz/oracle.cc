#include "tests/fuzz/oracle.h"

#include <algorithm>
#include <initializer_list>

#include "tests/fuzz/finding.h"
#include "tests/fuzz/strict_reader.h"
#include "worker/http/framing.h"

namespace ringmaster::fuzz {
namespace {

using Names = std::initializer_list<std::string_view>;

constexpr StrictLimits kAccepted{.head_bytes = kMostHeadBytes,
                                 .fields = kMaxFields,
                                 .chunk_line_bytes = BodyDecoder::kMaxChunkLine,
                                 .trailer_bytes = BodyDecoder::kMaxTrailerBytes};
// What the product writes is as long as it is.
constexpr StrictLimits kWritten{.head_bytes = SIZE_MAX,
                                .fields = SIZE_MAX,
                                .chunk_line_bytes = SIZE_MAX,
                                .trailer_bytes = SIZE_MAX};

bool is_one_of(std::string_view name, Names names) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view known) { return same_name(name, known); });
}

bool has_prefix(std::string_view name, std::string_view prefix) {
  return same_name(name.substr(0, prefix.size()), prefix);
}

std::string shown(const FieldLines& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += "\n  " + name + ": " + value;
  return text;
}

// ---- Which fields may pass ----

// For the neighbour only, whatever Connection says (RFC 9110 section 7.6.1), or a danger beyond
// it.
bool is_hop_by_hop(std::string_view name) {
  if (same_name(name, "proxy-status")) return false;
  return has_prefix(name, "proxy-") ||
         is_one_of(name, {"connection", "keep-alive", "te", "transfer-encoding", "upgrade",
                          "http2-settings"});
}

// A sender that names one of these in Connection means to deceive whoever relies on it.
bool cannot_be_named_away(std::string_view name) {
  return has_prefix(name, "content-") || has_prefix(name, "x-forwarded-") ||
         is_one_of(name,
                   {"host", "via", "forwarded", "x-real-ip", "x-request-id", "max-forwards",
                    "expect", "authorization", "cookie", "set-cookie", "cache-control", "date"});
}

// To CGI and its heirs an underscore is a dash.
std::string folded(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

// What those would take for a field that means something to a proxy. It reaches nobody.
bool is_alias(std::string_view name) {
  return name.find('_') != std::string_view::npos &&
         is_one_of(folded(name),
                   {"content-length", "transfer-encoding", "keep-alive", "http2-settings",
                    "max-forwards", "proxy-connection", "proxy-authenticate", "proxy-authorization",
                    "proxy-authentication-info", "x-forwarded-for", "x-forwarded-host",
                    "x-forwarded-proto", "x-request-id"});
}

// Framing, routing, identity, and how the content is to be read.
bool is_never_a_trailer(std::string_view written) {
  const std::string name = folded(written);
  return is_hop_by_hop(name) || has_prefix(name, "x-forwarded-") ||
         is_one_of(name,
                   {"host", "content-length", "content-type", "content-encoding", "content-range",
                    "trailer", "authorization", "cookie", "set-cookie", "cache-control",
                    "max-forwards", "expect", "via", "forwarded", "x-real-ip", "x-request-id"});
}

// Who sent a message decides which of its fields count.
enum class Sender { kAnyone, kTrustedProxy, kBackend };

// Written anew, or passed on under conditions that are judged one by one.
bool is_judged_by_itself(std::string_view name, Sender sender) {
  if (is_one_of(name, {"content-length", "via", "trailer", "connection", "upgrade",
                       "transfer-encoding", "x-request-id"})) {
    return true;
  }
  if (sender == Sender::kBackend) return same_name(name, "date");
  return is_one_of(name, {"host", "forwarded", "max-forwards", "expect", "x-forwarded-for",
                          "x-forwarded-host", "x-forwarded-proto"});
}

bool is_named_away(const StrictMessage& message, std::string_view name) {
  const auto nominated = members_of(values_of(message.fields, "connection"));
  return !cannot_be_named_away(name) &&
         std::any_of(nominated.begin(), nominated.end(),
                     [name](const std::string& option) { return same_name(option, name); });
}

// A claim that is as easily forged as those about whom we ourselves know.
bool is_claim(std::string_view name) {
  return has_prefix(folded(name), "x-forwarded-");
}

// All other fields of a message that must be at the other side, in their order.
FieldLines passing(const StrictMessage& message, Sender sender) {
  FieldLines left;
  for (const FieldLine& field : message.fields) {
    const std::string& name = field.first;
    const bool is_dropped = is_hop_by_hop(name) || is_alias(name) || is_named_away(message, name) ||
                            (sender == Sender::kAnyone && is_claim(name));
    if (!is_dropped && !is_judged_by_itself(name, sender)) left.push_back(field);
  }
  return left;
}

void demand_same_fields(const StrictMessage& in, const StrictMessage& out, Sender sender) {
  const FieldLines wanted = passing(in, sender);
  FieldLines found;
  for (const FieldLine& field : out.fields) {
    if (!is_judged_by_itself(field.first, sender)) found.push_back(field);
  }
  demand(found == wanted, "other fields than wanted:" + shown(found) + "\nwanted:" + shown(wanted));
}

// Then all trailers are dropped: it may be one of them that is meant.
bool names_a_trailer_away(const StrictMessage& message) {
  const auto nominated = members_of(values_of(message.fields, "connection"));
  return std::any_of(nominated.begin(), nominated.end(), [](const std::string& option) {
    return is_token(option) && !is_one_of(option, {"close", "keep-alive", "upgrade"}) &&
           option.size() <= BodyDecoder::kMaxTrailerName && !is_never_a_trailer(option);
  });
}

// Trailer stays where trailers can follow.
void demand_trailer_field(const StrictMessage& in, const StrictMessage& out) {
  const bool stays = in.framing == StrictFraming::kChunked &&
                     out.framing == StrictFraming::kChunked && !is_named_away(in, "trailer") &&
                     !names_a_trailer_away(in);
  demand(values_of(out.fields, "trailer") ==
             (stays ? values_of(in.fields, "trailer") : std::vector<std::string>()),
         "Trailer is wrong");
}

// Nothing of framing, routing, identity or the connection comes after the fact (RFC 9110 section
// 6.5.1); what comes is the sender's, in its order.
void demand_sound_trailers(const StrictMessage& in, const StrictMessage& out) {
  auto next = in.trailers.begin();
  for (const FieldLine& trailer : out.trailers) {
    const auto& name = trailer.first;
    demand(!is_never_a_trailer(name), "a trailer that must not pass: " + name);
    next = std::find(next, in.trailers.end(), trailer);
    demand(next != in.trailers.end(), "a trailer that nobody sent: " + name);
    ++next;
  }
}

// ---- Bodies ----

void demand_same_body(const StrictMessage& in, const StrictMessage& out, std::size_t written,
                      bool is_done) {
  if (!is_done) {
    demand(!out.is_complete, "a message that broke off was passed on as a complete one");
    demand(in.body.starts_with(out.body), "the body is not what was sent, as far as it went");
    return;
  }
  demand(in.is_complete, "taken for complete, but it is not, or not valid");
  demand(out.is_complete, "passed on incomplete");
  demand(out.size == written, "something follows the message that was passed on");
  demand(out.body == in.body, "the body is not what was sent");
  demand_sound_trailers(in, out);
}

void demand_framing(const StrictMessage& message, StrictFraming framing) {
  const std::size_t lengths = count_of(message.fields, "content-length");
  const std::size_t codings = count_of(message.fields, "transfer-encoding");
  demand(message.framing == framing, "framed in another way than it must be");
  demand(lengths == (framing == StrictFraming::kLength ? 1u : 0u), "Content-Length out of place");
  demand(codings == (framing == StrictFraming::kChunked ? 1u : 0u),
         "Transfer-Encoding out of place");
}

// ---- Requests ----

std::vector<std::string> without_empty(std::vector<std::string> values) {
  std::erase(values, "");
  return values;
}

bool ends_connection(const StrictMessage& message) {
  bool keeps_alive = message.is_11;
  for (const std::string& option : members_of(values_of(message.fields, "connection"))) {
    if (same_name(option, "close")) return true;
    keeps_alive = keeps_alive || same_name(option, "keep-alive");
  }
  return !keeps_alive;
}

// A list that ends with our own word; what comes before it only from a peer that is trusted.
std::string list_with(const StrictRequest& in, std::string_view name, bool trusted,
                      std::string_view own) {
  std::string list;
  if (trusted) {
    for (const auto& value : without_empty(values_of(in.fields, name))) list += value + ", ";
  }
  return list.append(own);
}

// RFC 7239, if it is asked for.
void demand_forwarded(const StrictRequest& in, const StrictRequest& out, const Setting& setting) {
  const auto said = values_of(in.fields, "forwarded");
  const auto told = values_of(out.fields, "forwarded");
  const bool trusted = setting.peer_is_trusted;
  if (!setting.forwarded) {
    return demand(told == (trusted ? said : std::vector<std::string>()), "Forwarded is wrong");
  }
  const std::string ip(setting.client_ip);
  const bool is_v6 = ip.find(':') != std::string::npos;
  std::string own = is_v6 ? "for=\"[" + ip + "]\"" : "for=" + ip;
  if (is_token(in.authority)) {
    own += ";host=" + in.authority;
  } else if (!in.authority.empty()) {
    own += ";host=\"" + in.authority + "\"";
  }
  own += ";proto=http;by=_" + std::string(kViaName);
  const std::string wanted = list_with(in, "forwarded", trusted, own);
  demand(told == std::vector{wanted}, "Forwarded is not " + wanted);
}

// X-Forwarded-*: only from a peer that is trusted, and our own word.
void demand_forwarding_fields(const StrictRequest& in, const StrictRequest& out,
                              const Setting& setting) {
  const bool trusted = setting.peer_is_trusted;
  const std::string wanted_for = list_with(in, "x-forwarded-for", trusted, setting.client_ip);
  demand(values_of(out.fields, "x-forwarded-for") == std::vector{wanted_for},
         "X-Forwarded-For is not " + wanted_for);

  const std::vector<std::string> from_us_proto = {"http"};
  std::vector<std::string> from_us_host;
  if (!in.authority.empty()) from_us_host = {in.authority};
  const auto said_proto = values_of(in.fields, "x-forwarded-proto");
  const auto said_host = values_of(in.fields, "x-forwarded-host");
  demand(values_of(out.fields, "x-forwarded-proto") ==
             (trusted && !said_proto.empty() ? said_proto : from_us_proto),
         "X-Forwarded-Proto is wrong");
  demand(values_of(out.fields, "x-forwarded-host") ==
             (trusted && !said_host.empty() ? said_host : from_us_host),
         "X-Forwarded-Host is wrong");
}

void demand_via(const StrictMessage& in, const StrictMessage& out) {
  auto wanted = values_of(in.fields, "via");
  wanted.push_back((in.is_11 ? "1.1 " : "1.0 ") + std::string(kViaName));
  demand(values_of(out.fields, "via") == wanted, "Via is wrong");
}

// Ours is the only one that either side sees.
void demand_request_id(const StrictMessage& out) {
  demand(values_of(out.fields, "x-request-id") == std::vector{std::string(kRequestId)},
         "X-Request-Id is wrong");
}

// How many hops a request has left, where that counts (RFC 9110 section 7.6.2).
std::optional<std::uint64_t> hops_left(const StrictRequest& request) {
  const auto said = values_of(request.fields, "max-forwards");
  if (said.empty() || (request.method != "OPTIONS" && request.method != "TRACE")) return {};
  const std::string& text = said[0];
  demand(said.size() == 1, "Max-Forwards more than once");
  demand(!text.empty() && text.find_first_not_of("0123456789") == std::string::npos,
         "Max-Forwards is no number");
  const std::string digits = text.substr(std::min(text.find_first_not_of('0'), text.size()));
  const auto number = digits.empty() ? 0 : std::stoull(digits.substr(0, 18));
  return std::min<std::uint64_t>(number, INT32_MAX);
}

void demand_max_forwards(const StrictRequest& in, const StrictRequest& out) {
  const auto left = hops_left(in);
  const auto told = values_of(out.fields, "max-forwards");
  if (!left) {
    return demand(told == values_of(in.fields, "max-forwards"), "Max-Forwards was changed");
  }
  demand(*left != 0, "passed on though Max-Forwards ran out");
  demand(told == std::vector{std::to_string(*left - 1)}, "Max-Forwards is not one less");
}

// Is Upgrade to be passed on: asked for in HTTP/1.1, by Connection too, and no h2c in it?
bool asks_for_upgrade(const StrictMessage& message) {
  const auto options = members_of(values_of(message.fields, "connection"));
  const auto protocols = members_of(values_of(message.fields, "upgrade"));
  const auto is_sound = [](const std::string& protocol) {
    const std::size_t slash = std::min(protocol.find('/'), protocol.size());
    const std::string name = protocol.substr(0, slash);
    const bool has_version = slash != protocol.size();
    return is_token(name) && !same_name(name, "h2c") &&
           (!has_version || is_token(std::string_view(protocol).substr(slash + 1)));
  };
  return message.is_11 && !protocols.empty() &&
         std::any_of(options.begin(), options.end(),
                     [](const std::string& option) { return same_name(option, "upgrade"); }) &&
         std::all_of(protocols.begin(), protocols.end(), is_sound);
}

// Connection: upgrade, with Upgrade as it was, or neither.
void demand_upgrade(const StrictMessage& in, const StrictMessage& out) {
  const auto told = values_of(out.fields, "connection");
  const auto protocols = values_of(out.fields, "upgrade");
  if (protocols.empty()) return;
  demand(!told.empty() && told[0] == "upgrade", "Upgrade without Connection: upgrade");
  demand(protocols == values_of(in.fields, "upgrade"), "Upgrade was changed");
  demand(in.is_11, "Upgrade of HTTP/1.0");
  for (const std::string& protocol : members_of(protocols)) {
    demand(!same_name(protocol.substr(0, protocol.find('/')), "h2c"), "h2c passed on");
  }
}

// Whoever cannot be read may not be asked which fields are for whom.
bool has_broken_connection(const StrictMessage& message) {
  const auto options = members_of(values_of(message.fields, "connection"));
  return !std::all_of(options.begin(), options.end(),
                      [](const std::string& option) { return is_token(option); });
}

void demand_request_fields(const StrictRequest& in, const StrictRequest& out,
                           const Setting& setting) {
  demand(!has_broken_connection(in), "accepted with a broken Connection");
  demand_same_fields(in, out, setting.peer_is_trusted ? Sender::kTrustedProxy : Sender::kAnyone);
  demand_trailer_field(in, out);
  demand(values_of(out.fields, "host") == std::vector{in.authority}, "Host is wrong");
  demand_forwarding_fields(in, out, setting);
  demand_forwarded(in, out, setting);
  demand_via(in, out);
  demand_request_id(out);
  demand_max_forwards(in, out);
  demand_upgrade(in, out);
  demand(asks_for_upgrade(in) == (count_of(out.fields, "upgrade") != 0), "Upgrade, or none");
  const auto connection = values_of(out.fields, "connection");
  demand(connection.empty() || (connection == std::vector<std::string>{"upgrade"} &&
                                count_of(out.fields, "upgrade") != 0),
         "Connection that says more than Upgrade");
  demand(values_of(out.fields, "expect") ==
             (in.is_11 ? values_of(in.fields, "expect") : std::vector<std::string>()),
         "Expect is wrong");
  for (const std::string& expectation : members_of(values_of(in.fields, "expect"))) {
    demand(same_name(expectation, "100-continue"), "an expectation that nobody can fulfil");
  }
}

// Returns the request as the oracle reads it.
StrictRequest judge(std::string_view from_client, const RelayedRequest& request,
                    const Setting& setting) {
  auto in = read_request(from_client.substr(request.begin), kAccepted);
  demand(in.has_value(), "a request was accepted that is not valid");
  const auto out = read_request(request.bytes, kWritten);
  demand(out.has_value(), "what went upstream is no valid request");
  demand(out->is_11, "the client's version was passed on");
  demand(!request.bytes.starts_with("\r"), "an empty line before the request");
  demand(out->method == in->method, "another method");
  demand(out->target == in->forwarded_target, "another target");
  demand_framing(*out, in->framing);
  demand(out->length == in->length, "another length");
  demand_request_fields(*in, *out, setting);
  demand(in->method != "TRACE" || in->framing == StrictFraming::kNone || in->length == 0,
         "a TRACE with a body");
  demand_same_body(*in, *out, request.bytes.size(), request.is_done);
  if (request.is_done) demand(request.end == request.begin + in->size, "ends elsewhere");
  return *std::move(in);
}

// A request as its sender must be shown it: as it came, but for what may be a secret (RFC 9110
// section 9.3.8).
std::string without_secrets(std::string_view head) {
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  std::string left;
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n") + 2);
    const bool is_secret = is_one_of(line.substr(0, line.find(':')),
                                     {"cookie", "authorization", "proxy-authorization"});
    if (!is_secret) left += line;
    head.remove_prefix(line.size());
  }
  return left;
}

// What Ringmaster says in the backend's place. Returns whether it ends the connection.
bool judge_answer(std::string_view from_client, const RelayedRequest& request) {
  const auto in = read_request(from_client.substr(request.begin), kAccepted);
  demand(in.has_value(), "a request was answered that is not valid");
  demand(hops_left(*in) == std::optional<std::uint64_t>(0), "answered in the backend's place");
  const auto out = read_response(request.bytes, kWritten, {.to_head = false, .at_end = false});
  demand(out && out->is_complete && out->size == request.bytes.size(), "our answer is not valid");
  demand(out->status == 200 && out->framing == StrictFraming::kLength, "another answer than 200");
  demand(values_of(out->fields, "date") == std::vector{std::string(kDate)}, "our answer's Date");
  demand_request_id(*out);
  const bool is_trace = in->method == "TRACE";
  const std::string_view head = from_client.substr(request.begin, in->head_size);
  demand(out->body == (is_trace ? without_secrets(head) : ""), "another echo");
  demand(count_of(out->fields, "allow") == (is_trace ? 0 : 1), "Allow out of place");
  const bool ends = ends_connection(*out);
  demand(ends || !ends_connection(*in), "the connection should have ended");
  demand(!ends || ends_connection(*in) || in->framing != StrictFraming::kNone, "ended for nothing");
  const bool tells = count_of(out->fields, "connection") != 0;
  demand(in->is_11 || ends || tells, "HTTP/1.0 is not told to go on");
  if (!ends && request.is_done) demand(request.end == request.begin + in->size, "ends elsewhere");
  demand(request.is_done || !in->is_complete, "the end of its body was missed");
  return ends;
}

// Further than many can count, though it may be the length of nothing.
bool has_endless_length(const StrictMessage& message) {
  const auto lengths = members_of(values_of(message.fields, "content-length"));
  return std::any_of(lengths.begin(), lengths.end(), [](const std::string& length) {
    const std::size_t zeros = std::min(length.find_first_not_of('0'), length.size());
    return length.size() - zeros > 18;
  });
}

// Nothing in it could be a reason of our own to refuse a valid message.
bool is_ordinary(const StrictMessage& message) {
  if (has_endless_length(message)) return false;
  return std::all_of(message.fields.begin(), message.fields.end(), [](const FieldLine& field) {
    return is_one_of(field.first, {"host", "content-length", "transfer-encoding", "content-type",
                                   "accept", "x-a", "cookie", "date", "server"});
  });
}

// In the target as well as in Host, which it overrides.
bool names_ordinary_hosts(const StrictRequest& request) {
  auto hosts = values_of(request.fields, "host");
  hosts.push_back(request.authority);
  return std::all_of(hosts.begin(), hosts.end(), [](const std::string& host) {
    return !host.empty() && host.size() < 256 && host.find(',') == std::string::npos;
  });
}

}  // namespace

void judge_requests(std::string_view from_client, const RequestRun& run, const Setting& setting) {
  std::size_t at = 0;
  bool is_whole = true;
  for (const RelayedRequest& request : run.requests) {
    demand(is_whole, "a request behind one that is not complete");
    demand(request.begin == at, "a request that begins inside another");
    is_whole = request.is_done;
    at = request.end;
    const bool is_last = &request == &run.requests.back();
    bool ends = false;
    if (request.is_answered) {
      ends = judge_answer(from_client, request);
    } else {
      const StrictRequest in = judge(from_client, request, setting);
      demand(is_whole || !in.is_complete, "the end of a request was missed");
      ends = ends_connection(in);
    }
    if (is_whole) demand(is_last || !ends, "a request behind the last one");
    if (is_whole && is_last) demand(run.closes == ends, "closed, or not");
  }
  if (!is_whole || run.closes) return;
  // What is left was refused, or more of it is awaited.
  const auto rest = read_request(from_client.substr(at), kAccepted);
  if (!rest) return;
  demand(run.refusal.has_value(), "the end of a request's head was missed");
  demand(!rest->is_complete || !is_ordinary(*rest) || !names_ordinary_hosts(*rest) ||
             rest->method == "TRACE",
         "an ordinary request was refused");
}

// ---- Responses ----

namespace {

StrictFraming framing_for_client(const RelayedResponse& response, const StrictResponse& in) {
  switch (in.framing) {
    case StrictFraming::kNone:
    case StrictFraming::kLength:
      return in.framing;
    case StrictFraming::kChunked:
    case StrictFraming::kUntilClose:
      break;
  }
  return response.asked.is_11 ? StrictFraming::kChunked : StrictFraming::kUntilClose;
}

// Without a body, Content-Length may tell how long one would be (RFC 9110 section 8.6).
void demand_bodiless_framing(const StrictResponse& in, const StrictResponse& out) {
  demand(out.framing == StrictFraming::kNone, "a body where none can be");
  demand(count_of(out.fields, "transfer-encoding") == 0, "Transfer-Encoding without a body");
  const auto told = values_of(out.fields, "content-length");
  if (in.status < 200 || in.status == 204) return demand(told.empty(), "Content-Length of nothing");
  auto said = members_of(values_of(in.fields, "content-length"));
  if (said.empty()) return demand(told.empty(), "Content-Length made up");
  demand(told.size() == 1 && told[0] == std::to_string(std::stoull(said[0])),
         "Content-Length changed");
}

void demand_response_connection(const RelayedResponse& response, const StrictResponse& out) {
  const auto told = values_of(out.fields, "connection");
  if (response.is_interim) return demand(told.empty(), "Connection in an interim response");
  if (response.is_tunnel) {
    return demand(told == std::vector<std::string>{"upgrade"}, "a 101 without Connection");
  }
  // Whether the client may go on depends on how it was told, too.
  const bool lives = response.asked.keep_alive && out.framing != StrictFraming::kUntilClose;
  if (response.is_done) demand(response.client_may_go_on == lives, "kept alive, or not");
  demand(!lives == ends_connection(out) || (lives && !response.asked.is_11),
         "the client is told otherwise");
  if (lives && !response.asked.is_11) {
    demand(told == std::vector<std::string>{"keep-alive"}, "HTTP/1.0 is not told to go on");
  }
}

// A final response is dated, by whom it comes from or else by us (RFC 9110 section 6.6.1).
void demand_date(const StrictResponse& in, const StrictResponse& out) {
  auto wanted = values_of(in.fields, "date");
  if (wanted.empty() && in.status >= 200) wanted.emplace_back(kDate);
  demand(values_of(out.fields, "date") == wanted, "Date is wrong");
}

// A 101 switches to what was offered; 426 (Upgrade Required) says to what one must.
void demand_switch(const RelayedResponse& response, const StrictResponse& in,
                   const StrictResponse& out) {
  const bool is_advice = in.status == 426 && response.asked.is_11 && asks_for_upgrade(in);
  demand((count_of(out.fields, "upgrade") != 0) == (response.is_tunnel || is_advice),
         "Upgrade out of place");
  demand_upgrade(in, out);
  if (!response.is_tunnel) return;
  demand(response.asked.upgrade && asks_for_upgrade(in), "a switch that nobody asked for");
  for (const std::string& protocol : members_of(values_of(in.fields, "upgrade"))) {
    const auto name = std::string_view(protocol).substr(0, protocol.find('/'));
    const auto offered = members_of({std::string(kOffer)});
    demand(std::any_of(offered.begin(), offered.end(),
                       [name](const std::string& offer) {
                         return same_name(name, offer.substr(0, offer.find('/')));
                       }),
           "a switch to what nobody offered: " + protocol);
  }
}

void judge(std::string_view from_backend, const RelayedResponse& response) {
  const ResponseContext context{.to_head = response.asked.is_head, .at_end = true};
  const auto in = read_response(from_backend.substr(response.begin), kAccepted, context);
  demand(in.has_value(), "a response was accepted that is not valid");
  demand(response.is_interim == (in->status < 200 && in->status != 101), "interim, or not");
  if (response.is_done) {
    const std::size_t size = response.is_tunnel ? in->head_size : in->size;
    demand(in->is_complete, "taken for complete, but it is not, or not valid");
    demand(response.end == response.begin + size, "ends elsewhere");
  }
  if (response.is_interim && !response.asked.is_11) {
    return demand(response.bytes.empty(), "an interim response to HTTP/1.0");
  }

  const bool cut = !response.is_done;
  const auto out =
      read_response(response.bytes, kWritten, {.to_head = context.to_head, .at_end = !cut});
  demand(out.has_value(), "what went to the client is no valid response");
  demand(response.bytes.starts_with("HTTP/1.1 "), "the backend's version was passed on");
  demand(out->status == in->status && out->reason == in->reason, "another status");
  const StrictFraming framing = framing_for_client(response, *in);
  if (framing == StrictFraming::kNone) {
    demand_bodiless_framing(*in, *out);
  } else {
    demand_framing(*out, framing);
    if (framing == StrictFraming::kLength) demand(out->length == in->length, "another length");
  }
  demand_same_fields(*in, *out, Sender::kBackend);
  demand_trailer_field(*in, *out);
  demand_date(*in, *out);
  demand_via(*in, *out);
  demand_request_id(*out);
  demand_response_connection(response, *out);
  demand_switch(response, *in, *out);
  demand_same_body(*in, *out, response.bytes.size(), response.is_done);
}

}  // namespace

void judge_responses(std::string_view from_backend, const ResponseRun& run) {
  std::size_t at = 0;
  for (const RelayedResponse& response : run.responses) {
    const bool is_last = &response == &run.responses.back();
    demand(response.begin == at, "a response that begins inside another");
    judge(from_backend, response);
    demand(is_last || response.is_done, "a response behind one that is not complete");
    at = response.end;
    if (!response.is_done || response.is_interim || response.is_tunnel) continue;
    const auto in = read_response(from_backend.substr(response.begin), kAccepted,
                                  {.to_head = response.asked.is_head, .at_end = true});
    const bool last_of_connection = ends_connection(*in) || has_broken_connection(*in) ||
                                    in->framing == StrictFraming::kUntilClose;
    demand(!last_of_connection || is_last, "a response behind the last one");
    demand(!last_of_connection || run.is_closed, "a connection that has ended would be used again");
  }
  if (!run.is_refused || run.is_cut) return;
  // What follows was refused. Whoever asked for it: unlike HEAD's, its body must be there.
  const auto rest =
      read_response(from_backend.substr(at), kAccepted, {.to_head = false, .at_end = true});
  demand(!rest || !rest->is_complete || rest->status == 101 || !is_ordinary(*rest),
         "an ordinary response was refused");
}

// ---- Pieces ----

void demand_same(const RequestRun& a, const RequestRun& b) {
  demand(a.refusal == b.refusal, "pieces change the verdict");
  demand(a.closes == b.closes, "pieces change whether the connection lives");
  // One whose body is broken may have been begun or not: that hangs on how it came.
  const auto is_done = [](const RelayedRequest& request) { return request.is_done; };
  const auto done = std::count_if(a.requests.begin(), a.requests.end(), is_done);
  demand(done == std::count_if(b.requests.begin(), b.requests.end(), is_done),
         "pieces change the number of requests");
  for (std::size_t i = 0; i < static_cast<std::size_t>(done); ++i) {
    demand(a.requests[i].end == b.requests[i].end, "pieces change where a request ends");
    demand(a.requests[i].is_answered == b.requests[i].is_answered, "pieces change who answers");
    if (a.requests[i].is_answered) {
      demand(a.requests[i].bytes == b.requests[i].bytes, "pieces change our answer");
      continue;
    }
    const auto one = read_request(a.requests[i].bytes, kWritten);
    const auto other = read_request(b.requests[i].bytes, kWritten);
    demand(one->fields == other->fields, "pieces change a request's fields");
    demand(one->trailers == other->trailers, "pieces change a request's trailers");
  }
}

void demand_same(const ResponseRun& a, const ResponseRun& b) {
  demand(a.is_closed == b.is_closed, "pieces change whether the connection lives");
  // A message that is broken may have been begun or not: that hangs on how it came.
  demand((a.is_refused || a.is_cut) == (b.is_refused || b.is_cut), "pieces change the verdict");
  if (a.is_refused || a.is_cut) return;
  demand(a.responses.size() == b.responses.size(), "pieces change the number of responses");
  for (std::size_t i = 0; i < a.responses.size(); ++i) {
    const ResponseContext context{.to_head = a.responses[i].asked.is_head, .at_end = true};
    const auto one = read_response(a.responses[i].bytes, kWritten, context);
    const auto other = read_response(b.responses[i].bytes, kWritten, context);
    demand(a.responses[i].end == b.responses[i].end, "pieces change where a response ends");
    demand(one.has_value() == other.has_value(), "pieces change who gets an interim response");
    if (!one) continue;
    demand(one->fields == other->fields, "pieces change a response's fields");
    demand(one->trailers == other->trailers, "pieces change a response's trailers");
  }
}

}  // namespace ringmaster::fuzz
