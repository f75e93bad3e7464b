// The PROXY protocol, versions 1 and 2: a header before the first request in which a balancer in
// front of us says who its client is. https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt
// Pure: no sockets, no clock, nothing kept between two calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/base/socket_address.h"

namespace ringmaster {

struct ProxyHeader {
  enum class Status : std::uint8_t {
    kIncomplete,
    kComplete,
    kMalformed,  // also: there is none, or its length passes kMaxProxyHeader
  };

  Status status = Status::kIncomplete;
  bool has_client = false;  // else the header names nobody (LOCAL, UNKNOWN, a Unix socket): the
                            // connection's peer stands for the client
  bool is_tls = false;      // the client came to the balancer in front over TLS
  std::uint32_t size = 0;   // once complete: where the first request begins
  IpAddress client;         // with has_client
};

// Address, ports and type-length-values; more than any sender has to say, and less than a buffer.
inline constexpr std::size_t kMaxProxyHeader = 16 * 1024;

// `bytes` are all that came on the connection so far. Refused as early as they show that it must
// be. Of a version 2 header's type-length-values the CRC32c is checked and the one about TLS is
// read; others are skipped.
ProxyHeader parse_proxy_header(std::string_view bytes) noexcept;

}  // namespace ringmaster
