#include "master/config/config_addresses.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "master/config/config_text.h"

namespace ringmaster {
namespace {

// An address ends in ":PORT" unless the only colons are inside brackets, or it is bare IPv6.
struct SplitAddress {
  std::string_view host;  // with its brackets
  std::optional<std::string_view> port;
};
SplitAddress split_address(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto bracket = text.rfind(']');
  if (colon == text.npos || (bracket != text.npos && colon < bracket)) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool is_bare_ipv6(std::string_view host) {
  return host.find(':') != host.npos && host.front() != '[';
}

// What is wrong with an address of either kind, before its host is looked at. The example is what
// would be right.
struct Example {
  std::string host;
  std::string port;
  bool may_be_name = false;
};

// Colons without brackets: what is behind the last one may be a port, or the end of the address.
Error bare_ipv6_error(std::string_view text, const std::string& port) {
  const auto [host, end] = split_address(text);
  const bool ends_in_port = IpAddress::parse(host) && end && whole<std::uint16_t>(*end);
  const std::string whole_address = "[" + std::string(text) + "]:" + port;
  if (IpAddress::parse(text) && !ends_in_port) {
    return Error{quoted(text) + " has no port, write for example " + quoted(whole_address)};
  }
  const std::string with_port = "[" + std::string(host) + "]:" + std::string(end.value_or(port));
  std::string message = quoted(text) + " has an IPv6 address without brackets, write for example " +
                        quoted(ends_in_port ? with_port : "[::1]:" + port);
  if (ends_in_port && IpAddress::parse(text)) {
    message += ", or " + quoted(whole_address) + " if all of it is the address";
  }
  return {message};
}

// nullptr, or what is wrong with a host name (RFC 1123, a final dot allowed; also an underscore, as
// containers are called).
const char* host_name_error(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty()) return "is empty";
  if (host.size() > 253) return "is longer than 253 characters";
  while (true) {
    const auto dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty()) return "has an empty part";
    if (label.size() > 63) return "has a part longer than 63 characters";
    const bool is_legal = std::all_of(label.begin(), label.end(),
                                      [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
    if (!is_legal) return "may only have letters, digits, '-', '_' and '.'";
    if (label.front() == '-' || label.back() == '-') return "has a part that begins or ends in '-'";
    if (dot == host.npos) {
      // What getaddrinfo would read as a shortened or octal IPv4 address is a slip.
      const bool number = std::all_of(label.begin(), label.end(), is_digit);
      return number ? "is neither an IPv4 address nor a host name" : nullptr;
    }
    host.remove_prefix(dot + 1);
  }
}

std::optional<Error> shape_error(std::string_view text, const Example& example) {
  const std::string shown = quoted(text);
  const std::string full = example.host + ":" + example.port;
  if (text.starts_with("unix:")) {
    return Error{shown + " is a Unix socket, not supported yet, write for example " + quoted(full)};
  }
  if (text.find("://") != text.npos) {
    return Error{shown + " is a URL, write only the address and port, for example " + quoted(full)};
  }
  if (is_bare_ipv6(split_address(text).host)) return bare_ipv6_error(text, example.port);
  const auto [host, port] = split_address(text);
  if (!port) {
    const bool is_port = whole<std::uint16_t>(host).has_value();
    const bool is_host = !is_port && (IpAddress::parse(host) ||
                                      (example.may_be_name && host_name_error(host) == nullptr));
    const std::string right = (is_host ? std::string(host) : example.host) + ":" +
                              (is_port ? std::string(host) : example.port);
    return Error{shown + (is_port ? " has no address" : " has no port") + ", write for example " +
                 quoted(right)};
  }
  if (host.empty() || host == "*") {
    const std::string right = example.host + ":" + std::string(*port);
    return Error{shown + " has no address, write for example " + quoted(right)};
  }
  return std::nullopt;
}

Result<SocketAddress> parse_listener(std::string_view text, const Example& example) {
  if (const auto address = SocketAddress::parse(text)) {
    // A socket for IPv6 alone, as all of ours are, cannot be bound to it.
    if (address->family() != AF_INET6 || !address->ip().is_v4()) return *address;
    return Error{quoted(text) + " is an IPv4 address in the form of IPv6, write " +
                 quoted(address->ip().to_string() + ":" + std::to_string(address->port()))};
  }
  if (auto error = shape_error(text, example)) return *std::move(error);
  const auto [host, port] = split_address(text);
  if (!whole<std::uint16_t>(*port)) {
    return Error{quoted(text) + " has no valid port, must be from 0 to 65535"};
  }
  const std::string local = host == "localhost" ? "127.0.0.1" : example.host;
  return Error{quoted(text) + " is not a literal address, write for example " +
               quoted(local + ":" + std::string(*port))};
}

}  // namespace

Result<SocketAddress> parse_listen_address(std::string_view text) {
  return parse_listener(text, {"0.0.0.0", "3000"});
}

Result<SocketAddress> parse_admin_address(std::string_view text) {
  return parse_listener(text, {"127.0.0.1", "9180"});
}

Result<HostAndPort> parse_backend_address(std::string_view text) {
  if (auto error = shape_error(text, {"127.0.0.1", "8081", true})) return *std::move(error);
  const auto [host, port_text] = split_address(text);
  const auto port = whole<std::uint16_t>(*port_text);
  if (!port || *port == 0) {
    return Error{quoted(text) + " has no valid port, must be from 1 to 65535"};
  }
  if (host.front() == '[') {
    if (!IpAddress::parse(host)) {
      return Error{quoted(host) + " is not an IPv6 address, write for example \"[::1]:8081\""};
    }
    return HostAndPort{std::string(host.substr(1, host.size() - 2)), *port};
  }
  if (!IpAddress::parse(host)) {
    if (const char* wrong = host_name_error(host)) {
      return Error{"host " + quoted(host) + " " + wrong +
                   ", write for example \"127.0.0.1:8081\" or \"app.example.com:8081\""};
    }
  }
  return HostAndPort{std::string(host), *port};
}

Result<std::string> parse_host_field(std::string_view text) {
  if (text.empty()) return std::string();
  const auto [host, port] = split_address(text);
  const bool is_address = !is_bare_ipv6(host) && IpAddress::parse(host);
  const char* wrong = text.find("://") != text.npos ? "is a URL, must be only its host"
                      : is_address                  ? nullptr
                                                    : host_name_error(host);
  if (wrong == nullptr && port && !whole<std::uint16_t>(*port)) wrong = "has no valid port";
  if (wrong == nullptr) return std::string(text);
  return Error{quoted(text) + " " + wrong +
               ", write for example \"app.example.com\" or \"app.example.com:8080\""};
}

Result<IpPrefix> parse_prefix(std::string_view text) {
  if (const auto prefix = IpPrefix::parse(text)) return *prefix;
  const auto slash = text.rfind('/');
  const std::string_view host = text.substr(0, slash);
  const auto address = IpAddress::parse(host);
  const bool v4 = host.find(':') == host.npos;
  const auto bits = slash == text.npos ? std::nullopt : whole<unsigned>(text.substr(slash + 1));
  if (!address || !bits) {
    return Error{quoted(text) + " is not an address or a block, write for example \"10.0.0.0/8\""};
  }
  if (*bits > (v4 ? 32u : 128u)) {
    return Error{quoted(text) + " has too long a prefix, must be at most " + (v4 ? "/32" : "/128")};
  }
  const IpAddress network = address->masked(v4 ? 96 + *bits : *bits);
  return Error{quoted(text) + " has bits set after its prefix, write " +
               quoted(network.to_string() + "/" + std::to_string(*bits)) + " or " + quoted(host)};
}

}  // namespace ringmaster
