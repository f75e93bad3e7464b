#include "shared/base/socket_address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "shared/base/text.h"

namespace ringmaster {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool IpAddress::is_v4() const noexcept {
  return std::memcmp(bytes.data(), kMappedPrefix.data(), kMappedPrefix.size()) == 0;
}

std::size_t IpAddress::format(char* out) const noexcept {
  if (!is_v4()) {
    ::inet_ntop(AF_INET6, bytes.data(), out, INET6_ADDRSTRLEN);
    return std::strlen(out);
  }
  char* at = out;
  for (std::size_t i = 12; i < 16; ++i) {
    if (i > 12) *at++ = '.';
    at = std::to_chars(at, at + 3, static_cast<unsigned>(bytes[i])).ptr;
  }
  return static_cast<std::size_t>(at - out);
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  return {text, format(text)};
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    if (text.find(':') == text.npos) return std::nullopt;
  }
  char terminated[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof terminated) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  if (std::strlen(terminated) != text.size()) return std::nullopt;

  IpAddress address;
  if (::inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
  std::memcpy(address.bytes.data(), kMappedPrefix.data(), kMappedPrefix.size());
  if (::inet_pton(AF_INET, terminated, address.bytes.data() + 12) == 1) return address;
  return std::nullopt;
}

IpAddress IpAddress::masked(unsigned bits) const noexcept {
  IpAddress result;
  const unsigned whole = bits / 8;
  std::memcpy(result.bytes.data(), bytes.data(), whole);
  if (whole < 16 && bits % 8 != 0) {
    result.bytes[whole] = bytes[whole] & static_cast<std::uint8_t>(0xff << (8 - bits % 8));
  }
  return result;
}

SocketAddress SocketAddress::from(const sockaddr* address) noexcept {
  SocketAddress result;
  if (address->sa_family == AF_INET) {
    std::memcpy(&result.storage_.in4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6) {
    std::memcpy(&result.storage_.in6, address, sizeof(sockaddr_in6));
  }
  return result;
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) noexcept {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const std::string_view host = text.substr(0, colon);
  if (host.find(':') != host.npos && host.front() != '[') return std::nullopt;
  const auto ip = IpAddress::parse(host);
  const auto port = whole<std::uint16_t>(text.substr(colon + 1));
  if (!ip || !port) return std::nullopt;

  SocketAddress result;
  if (host.front() != '[') {
    result.storage_.in4 = {};
    result.storage_.in4.sin_family = AF_INET;
    std::memcpy(&result.storage_.in4.sin_addr, ip->bytes.data() + 12, 4);
  } else {
    result.storage_.in6.sin6_family = AF_INET6;
    std::memcpy(&result.storage_.in6.sin6_addr, ip->bytes.data(), 16);
  }
  result.set_port(*port);
  return result;
}

std::uint16_t SocketAddress::port() const noexcept {
  return ntohs(family() == AF_INET6 ? storage_.in6.sin6_port : storage_.in4.sin_port);
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
  (family() == AF_INET6 ? storage_.in6.sin6_port : storage_.in4.sin_port) = htons(port);
}

IpAddress SocketAddress::ip() const noexcept {
  IpAddress address;
  if (family() == AF_INET6) {
    std::memcpy(address.bytes.data(), &storage_.in6.sin6_addr, 16);
  } else if (family() == AF_INET) {
    std::memcpy(address.bytes.data(), kMappedPrefix.data(), kMappedPrefix.size());
    std::memcpy(address.bytes.data() + 12, &storage_.in4.sin_addr, 4);
  }
  return address;
}

std::string SocketAddress::to_string() const {
  if (is_empty()) return "-";
  const std::string host = ip().to_string();
  const std::string shown = family() == AF_INET6 ? "[" + host + "]" : host;
  return shown + ":" + std::to_string(port());
}

bool SocketAddress::covers(const SocketAddress& other) const noexcept {
  if (family() != other.family() || port() != other.port()) return false;
  const IpAddress any = family() == AF_INET ? *IpAddress::parse("0.0.0.0") : IpAddress{};
  return ip() == other.ip() || ip() == any;
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) noexcept {
  const auto slash = text.rfind('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  IpPrefix prefix{*address, 128};
  if (slash == text.npos) return prefix;
  const bool v4 = text.substr(0, slash).find(':') == text.npos;
  const auto bits = whole<unsigned>(text.substr(slash + 1));
  if (!bits || *bits > (v4 ? 32u : 128u)) return std::nullopt;
  prefix.bits = v4 ? 96 + *bits : *bits;
  if (address->masked(prefix.bits) != *address) return std::nullopt;
  return prefix;
}

}  // namespace ringmaster
