// How the addresses inside a config file are read. Pure functions. An error is one clause for the
// operator, without the key: what is wrong with the text and what would be right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/base/socket_address.h"

namespace ringmaster {

// "0.0.0.0:3000" or "[::]:3000": literal addresses only, port 0 lets the kernel choose.
Result<SocketAddress> parse_listen_address(std::string_view text);
Result<SocketAddress> parse_admin_address(std::string_view text);

struct HostAndPort {
  std::string host;  // IPv6 without brackets
  std::uint16_t port = 0;
};
// "127.0.0.1:80", "[::1]:80" or "app.example.com:80"; port 1-65535.
Result<HostAndPort> parse_backend_address(std::string_view text);

// The Host field of a request (RFC 9110 section 7.2): a host, perhaps with a port; "" for none.
Result<std::string> parse_host_field(std::string_view text);

// One address or a CIDR block without host bits.
Result<IpPrefix> parse_prefix(std::string_view text);

}  // namespace ringmaster
