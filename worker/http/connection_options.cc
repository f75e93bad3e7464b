// RFC 9110 section 7.6.1 lets a sender name fields away. That is also a known attack
// (X-Forwarded-For, Authorization or Host removed behind the backs of those who rely on them),
// hence the exceptions.
#include "worker/http/connection_options.h"

#include <algorithm>
#include <array>

#include "worker/http/framing.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

// More options than any honest sender names; the bound keeps nominating linear in the head's size.
constexpr int kMaxNominations = 64;

constexpr std::array<std::string_view, 12> kEndToEnd = {
    "host",   "via",           "forwarded", "x-real-ip",  "x-request-id",  "max-forwards",
    "expect", "authorization", "cookie",    "set-cookie", "cache-control", "date",
};

// "A sender MUST NOT send a connection option corresponding to a field that is intended for all
// recipients of the content": framing, routing, identity, and how the content is to be read.
bool is_always_end_to_end(std::string_view name) noexcept {
  return starts_with_ignore_case(name, "content-") ||
         starts_with_ignore_case(name, "x-forwarded-") ||
         std::any_of(kEndToEnd.begin(), kEndToEnd.end(),
                     [name](std::string_view known) { return equals_ignore_case(name, known); });
}

void nominate(MessageHead& head, std::string_view option) noexcept {
  if (is_always_end_to_end(option)) return;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    Field& field = head.fields[i];
    if (field.name_size == option.size() && equals_ignore_case(head.name(field), option)) {
      field.hop_by_hop = true;
    }
  }
}

void read_options(MessageHead& head, std::string_view list, ConnectionOptions& options,
                  int& nominations) noexcept {
  std::string_view option;
  while (!options.too_many && next_member(list, option)) {
    if (option.empty()) continue;
    if (equals_ignore_case(option, "keep-alive")) {
      options.keep_alive = true;  // its field of that name is hop-by-hop anyway
    } else if (equals_ignore_case(option, "close")) {
      options.close = true;
    } else if (equals_ignore_case(option, "upgrade")) {
      options.upgrade = true;
    } else if (!is_token(option)) {
      options.malformed = true;  // what the others name is not passed on all the same
    } else if (++nominations > kMaxNominations) {
      options.too_many = true;
    } else {
      nominate(head, option);
      options.names_trailers |= may_be_trailer(option);
    }
  }
}

// protocol = token [ "/" token ]
bool is_protocol(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_token(text);
  return is_token(text.substr(0, slash)) && is_token(text.substr(slash + 1));
}

std::string_view name_of(std::string_view protocol) noexcept {
  return protocol.substr(0, protocol.find('/'));
}

bool offers(const MessageHead& request, std::string_view name) noexcept {
  for (std::uint32_t i = 0; i < request.field_count; ++i) {
    if (request.fields[i].id != FieldId::kUpgrade) continue;
    std::string_view list = request.value(request.fields[i]);
    std::string_view protocol;
    while (next_member(list, protocol)) {
      if (equals_ignore_case(name_of(protocol), name)) return true;
    }
  }
  return false;
}

}  // namespace

ConnectionOptions read_connection(MessageHead& head) noexcept {
  ConnectionOptions options;
  int nominations = 0;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].id != FieldId::kConnection) continue;
    read_options(head, head.value(head.fields[i]), options, nominations);
  }
  return options;
}

bool offers_upgrade(const MessageHead& head) noexcept {
  bool any = false;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].id != FieldId::kUpgrade) continue;
    std::string_view list = head.value(head.fields[i]);
    std::string_view protocol;
    while (next_member(list, protocol)) {
      if (protocol.empty()) continue;
      if (!is_protocol(protocol) || equals_ignore_case(name_of(protocol), "h2c")) return false;
      any = true;
    }
  }
  return any;
}

bool accepts_offer(const MessageHead& response, const MessageHead& request) noexcept {
  for (std::uint32_t i = 0; i < response.field_count; ++i) {
    if (response.fields[i].id != FieldId::kUpgrade) continue;
    std::string_view list = response.value(response.fields[i]);
    std::string_view protocol;
    while (next_member(list, protocol)) {
      if (!protocol.empty() && !offers(request, name_of(protocol))) return false;
    }
  }
  return true;
}

}  // namespace ringmaster
