// SocketAddress: an IPv4 or IPv6 address with its port, as a value. IpPrefix: a CIDR block.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringmaster {

// An IP address without port, IPv4 kept as IPv4-mapped IPv6 (::ffff:a.b.c.d) so that one client has
// one form whichever listener it came through. Trivially copyable.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  bool is_v4() const noexcept;  // also an IPv4-mapped one
  // "192.0.2.1" or "2001:db8::1", never with brackets.
  std::string to_string() const;
  // Writes the same text, without a terminating NUL; returns its length. `out` holds at least 46.
  std::size_t format(char* out) const noexcept;
  // Accepts both families, with or without brackets around IPv6; nothing else.
  static std::optional<IpAddress> parse(std::string_view text) noexcept;
  // This address with all but the first `bits` (of 128) cleared.
  IpAddress masked(unsigned bits) const noexcept;
  friend bool operator==(const IpAddress&, const IpAddress&) noexcept = default;
};

class SocketAddress {
 public:
  SocketAddress() noexcept = default;
  // From what accept(2), getsockname(2) or getaddrinfo(3) gave. Other families give an empty one.
  static SocketAddress from(const sockaddr* address) noexcept;
  // "127.0.0.1:80", "[::1]:80": literal addresses only, port 0-65535.
  static std::optional<SocketAddress> parse(std::string_view text) noexcept;

  bool is_empty() const noexcept { return storage_.in6.sin6_family == AF_UNSPEC; }
  int family() const noexcept { return storage_.in6.sin6_family; }
  std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  IpAddress ip() const noexcept;
  const sockaddr* get() const noexcept { return &storage_.any; }
  socklen_t size() const noexcept {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }
  // "127.0.0.1:80" or "[::1]:80".
  std::string to_string() const;
  // Who listens here is in the way of who would listen there: the same, or every address of its
  // family at that port.
  bool covers(const SocketAddress& other) const noexcept;
  friend bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
    return a.family() == b.family() && a.port() == b.port() && a.ip() == b.ip();
  }

 private:
  union Storage {
    sockaddr any;
    sockaddr_in in4;
    sockaddr_in6 in6;
  };
  Storage storage_{.in6 = {}};
};

// "10.0.0.0/8", "2001:db8::/32", or one address.
struct IpPrefix {
  IpAddress network;
  unsigned bits = 128;  // of 128; an IPv4 block /n is kept as /(96+n) of the mapped form

  bool contains(const IpAddress& address) const noexcept { return address.masked(bits) == network; }
  // Refuses host bits that are set: 10.0.0.1/8 is more likely a slip than a wish.
  static std::optional<IpPrefix> parse(std::string_view text) noexcept;
};

}  // namespace ringmaster
