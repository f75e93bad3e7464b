// Config: what the operator asked for, as plain validated values. Filled by
// master/config/config_loader from TOML, constant afterwards; workers inherit it through fork.
// Every default is the product's default.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/log.h"
#include "shared/base/socket_address.h"
#include "shared/memory/limits.h"

namespace ringmaster {

using Duration = std::chrono::milliseconds;

inline constexpr std::uint32_t kMaxBackends = kMaxUpstreams;
inline constexpr std::uint32_t kMaxWorkers = kMaxWorkerSlots / 2;  // of one generation
inline constexpr std::size_t kMaxBackendName = 63;

struct ServerConfig {
  std::vector<SocketAddress> listen;  // at least one; port 0 lets the kernel choose
  std::uint32_t workers = 0;          // 1..kMaxWorkers; the loader resolves "auto"
  Duration drain_timeout{30'000};
  Duration pre_drain{0};
  Duration header_timeout{10'000};
  Duration body_timeout{30'000};
  Duration keepalive_timeout{75'000};
  std::uint32_t max_header_bytes = 16'384;
  std::uint64_t max_body_bytes = 0;   // 0: no limit
  std::uint32_t max_connections = 0;  // a worker; 0: as the file limit allows
  std::vector<IpPrefix> trusted_proxies;
  bool proxy_protocol = false;
  bool forwarded = false;  // RFC 7239's Forwarded, beside X-Forwarded-*
};

struct AdminConfig {
  SocketAddress listen;  // default 127.0.0.1:9180
  std::string socket;    // "": off
};

struct HashConfig {
  enum class Key : std::uint8_t { kUri, kPath, kClientIp, kHeader, kCookie };
  Key key = Key::kUri;
  std::string key_name;  // of kHeader (lower case) and kCookie (as written)
  std::uint32_t virtual_nodes = 1000;
  double balance_factor = 0.0;  // 0: off
};

struct RateLimitConfig {
  std::uint32_t requests_per_second = 0;  // 0: off
  std::uint32_t burst = 0;                // the loader puts one second's worth where none is given
  std::uint32_t table_entries = 1'048'576;
  std::uint32_t ipv6_prefix = 64;  // bits that tell one client from another
  std::vector<IpPrefix> exempt;
};

struct HealthConfig {
  std::string path = "/";  // "": TCP connect only
  std::string host;        // the Host that probes name; "": the backend's address
  Duration interval{1'000};
  Duration timeout{500};
  Duration fast_interval{200};
  std::uint32_t rise = 2;
  std::uint32_t fall = 2;
  // Inclusive ranges of status codes that mean "healthy".
  std::vector<std::pair<std::uint16_t, std::uint16_t>> expect{{200, 399}};
  double panic_threshold = 0.0;
  Duration slow_start{0};
};

struct UpstreamConfig {
  Duration connect_timeout{1'000};
  Duration response_timeout{60'000};
  Duration idle_timeout{60'000};
  std::uint32_t max_idle = 256;
  std::uint32_t retries = 2;
  double retry_budget = 0.2;
  Duration tunnel_timeout{3'600'000};
};

struct LogConfig {
  log::Level level = log::Level::kInfo;
  std::string access = "off";
};

struct BackendConfig {
  std::string name;  // unique; [A-Za-z0-9._-], 1..kMaxBackendName bytes
  std::string host;  // literal address (IPv6 without brackets) or host name
  std::uint16_t port = 0;
  std::uint32_t weight = 1;           // >= 1
  std::uint32_t max_connections = 0;  // 0: no limit
  bool backup = false;

  std::string address() const {  // as written: "host:port"
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  }
};

struct Config {
  ServerConfig server;
  AdminConfig admin;
  HashConfig hash;
  RateLimitConfig rate_limit;
  HealthConfig health;
  UpstreamConfig upstream;
  LogConfig log;
  std::vector<BackendConfig> backends;  // at least one, in the order of the file
};

}  // namespace ringmaster
