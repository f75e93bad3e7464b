#include "master/config/config_schema.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "master/config/config_addresses.h"
#include "master/config/config_text.h"
#include "master/config/config_values.h"
#include "master/config/usable_cpus.h"

namespace ringmaster {
namespace {

constexpr Range<Duration> kTimeout{Duration(1), kLongestDuration};
constexpr Range<Duration> kDelay{Duration(0), kLongestDuration};  // 0: none
constexpr Range<std::int64_t> kLimit{0, INT32_MAX};               // 0: no limit
// Keeps the arithmetic of the token buckets exact, and far from 2^64.
constexpr std::int64_t kHighestRate = 1'000'000;
constexpr std::string_view kAddressList = "a list of strings such as [\"10.0.0.0/8\"]";

// ---- The tables, in the order of the file ----

std::uint32_t automatic_workers() {
  return std::min(usable_cpus(), kMaxWorkers);
}

Result<std::uint32_t> parse_workers(std::string_view text) {
  if (text == "auto") return automatic_workers();
  return Error{quoted(text) + " is not known, must be \"auto\" or a number without quotes"};
}

void read_workers(TableReader& table, std::uint32_t& workers) {
  workers = automatic_workers();
  if (table.is_string("workers")) {
    table.read_text("workers", "", parse_workers, workers);
  } else {
    table.read_whole("workers", {1, kMaxWorkers}, workers);
  }
}

// The one of `taken` beside which nobody can listen on `wanted`. Port 0 is another one each time;
// an empty address is one that was wrong.
std::optional<SocketAddress> in_the_way(std::span<const SocketAddress> taken,
                                        const SocketAddress& wanted) {
  if (wanted.port() == 0) return std::nullopt;
  const auto found = std::find_if(taken.begin(), taken.end(), [&](const SocketAddress& other) {
    return other.covers(wanted) || wanted.covers(other);
  });
  return found == taken.end() ? std::nullopt : std::optional(*found);
}

void read_listen(TableReader& table, std::vector<SocketAddress>& listen) {
  constexpr std::string_view kExpected = "a string such as \"0.0.0.0:3000\", or a list of them";
  listen = {*SocketAddress::parse("0.0.0.0:3000")};
  if (table.is_string("listen")) {
    table.read_text("listen", kExpected, parse_listen_address, listen.front());
    return;
  }
  table.read_texts("listen", kExpected, parse_listen_address, listen);
  if (listen.empty()) table.problem("listen", "is empty, write for example \"0.0.0.0:3000\"");
  for (auto at = listen.begin(); at != listen.end(); ++at) {
    const auto other = in_the_way({listen.begin(), at}, *at);
    if (!other) continue;
    const std::string how = *other == *at
                                ? "is in the list twice"
                                : fmt::format("conflicts with \"{}\"", other->to_string());
    const auto index = static_cast<std::size_t>(at - listen.begin());
    table.problem("listen", table.position_of("listen", index),
                  fmt::format("\"{}\" {}, remove one", at->to_string(), how));
  }
}

void read_server(TableReader table, ServerConfig& server) {
  read_listen(table, server.listen);
  read_workers(table, server.workers);
  table.read_duration("drain_timeout", kTimeout, server.drain_timeout);
  table.read_duration("pre_drain", kDelay, server.pre_drain);
  table.read_duration("header_timeout", kTimeout, server.header_timeout);
  table.read_duration("body_timeout", kTimeout, server.body_timeout);
  table.read_duration("keepalive_timeout", kTimeout, server.keepalive_timeout);
  table.read_whole("max_header_bytes", {256, 1'048'576}, server.max_header_bytes);
  table.read_whole("max_body_bytes", {0, INT64_MAX}, server.max_body_bytes);
  table.read_whole("max_connections", kLimit, server.max_connections);
  table.read_texts("trusted_proxies", kAddressList, parse_prefix, server.trusted_proxies);
  table.read_flag("proxy_protocol", server.proxy_protocol);
  table.read_flag("forwarded", server.forwarded);
}

void read_admin(TableReader table, AdminConfig& admin) {
  admin.listen = *SocketAddress::parse("127.0.0.1:9180");
  table.read_text("listen", "one string such as \"127.0.0.1:9180\"", parse_admin_address,
                  admin.listen);
  table.read_text("socket", "a string: a path, or \"\" for none", parse_unix_path, admin.socket);
}

void read_hash(TableReader table, HashConfig& hash) {
  HashKey key;
  table.read_text("key", "a string such as \"uri\"", parse_hash_key, key);
  hash.key = key.kind;
  hash.key_name = std::move(key.name);
  table.read_whole("virtual_nodes", {1, 100'000}, hash.virtual_nodes);
  table.read_number("balance_factor", {0.0, 1000.0}, hash.balance_factor);
  if (hash.balance_factor > 0.0 && hash.balance_factor < 1.0) {
    table.problem("balance_factor", fmt::format("{} is less than a backend's fair share, must be 0 "
                                                "(off) or at least 1.0, for example 1.25",
                                                hash.balance_factor));
    hash.balance_factor = 0.0;
  }
}

void read_rate_limit(TableReader table, RateLimitConfig& limit) {
  const bool rate_ok =
      table.read_whole("requests_per_second", {0, kHighestRate}, limit.requests_per_second);
  table.read_whole("burst", {0, kHighestRate}, limit.burst);
  table.read_whole("table_entries", {1, kMaxRateLimitEntries}, limit.table_entries);
  table.read_whole("ipv6_prefix", {1, 128}, limit.ipv6_prefix);
  table.read_texts("exempt", kAddressList, parse_prefix, limit.exempt);

  if (limit.burst != 0 && limit.requests_per_second == 0 && rate_ok && !table.has_gaps()) {
    table.problem("burst",
                  fmt::format("{} has no effect while rate_limit.requests_per_second is 0, "
                              "set that too or remove this",
                              limit.burst));
  }
  if (limit.burst == 0) limit.burst = limit.requests_per_second;
}

// The default of `key` is never longer than the interval; what was written is meant.
void keep_default_within(const TableReader& table, std::string_view key, Duration interval,
                         Duration& value) {
  if (!table.has(key)) value = std::min(value, interval);
}

void read_health(TableReader table, HealthConfig& health) {
  table.read_text("path", "a string such as \"/health\"", parse_probe_path, health.path);
  table.read_text("host", "a string such as \"app.example.com\"", parse_host_field, health.host);
  table.read_duration("interval", kTimeout, health.interval);
  table.read_duration("timeout", kTimeout, health.timeout);
  keep_default_within(table, "timeout", health.interval, health.timeout);
  table.read_duration("fast_interval", kTimeout, health.fast_interval);
  keep_default_within(table, "fast_interval", health.interval, health.fast_interval);
  table.read_whole("rise", {1, 100}, health.rise);
  table.read_whole("fall", {1, 100}, health.fall);
  table.read_text("expect", "a string such as \"200-399\"", parse_status_ranges, health.expect);
  table.read_number("panic_threshold", {0.0, 1.0}, health.panic_threshold);
  table.read_duration("slow_start", kDelay, health.slow_start);

  for (const std::string_view key : {"host", "expect"}) {
    if (!table.has(key) || !table.has("path") || !health.path.empty()) continue;
    table.problem(key,
                  "has no effect while health.path is \"\" (a connection is enough), set a "
                  "path or remove this");
  }
}

void read_upstream(TableReader table, UpstreamConfig& upstream) {
  table.read_duration("connect_timeout", kTimeout, upstream.connect_timeout);
  table.read_duration("response_timeout", kTimeout, upstream.response_timeout);
  table.read_duration("idle_timeout", kTimeout, upstream.idle_timeout);
  table.read_whole("max_idle", {0, 65'536}, upstream.max_idle);
  table.read_whole("retries", {0, 100}, upstream.retries);
  table.read_number("retry_budget", {0.0, 1.0}, upstream.retry_budget);
  table.read_duration("tunnel_timeout", kTimeout, upstream.tunnel_timeout);
}

void read_log(TableReader table, LogConfig& log) {
  table.read_text("level", "a string such as \"info\"", parse_log_level, log.level);
  table.read_text("access", "a string such as \"off\"", parse_access_log, log.access);
}

// ---- Backends ----

void read_backend(TableReader& table, BackendConfig& backend) {
  HostAndPort address;
  table.read_text("name", "a string such as \"s1\"", parse_backend_name, backend.name);
  table.read_text("address", "a string such as \"127.0.0.1:8081\"", parse_backend_address, address);
  backend.host = std::move(address.host);
  backend.port = address.port;
  table.read_whole("weight", {1, 10'000}, backend.weight);
  table.read_whole("max_connections", kLimit, backend.max_connections);
  table.read_flag("backup", backend.backup);

  if (table.has_gaps()) return;
  if (!table.has("name")) table.problem("name", "is missing, write for example name = \"s1\"");
  if (!table.has("address")) {
    table.problem("address", "is missing, write for example address = \"127.0.0.1:8081\"");
  }
}

// `seen`: at which lines.
void refuse_duplicate(std::map<std::string, std::uint32_t>& seen, TableReader& table,
                      const std::string& name) {
  const toml::source_position at = table.position_of("name");
  const auto [first, is_new] = seen.emplace(name, at.line);
  if (is_new) return;
  table.problem(
      "name", fmt::format("\"{}\" is also the name of the backend at line {}, must be unique", name,
                          first->second));
}

void read_backends(ConfigReader& document, std::vector<TableReader>& tables,
                   std::vector<BackendConfig>& backends) {
  std::map<std::string, std::uint32_t> names;
  for (TableReader& table : tables) {
    BackendConfig& backend = backends.emplace_back();
    read_backend(table, backend);
    if (!backend.name.empty()) refuse_duplicate(names, table, backend.name);
  }
  if (backends.size() > kMaxBackends) {
    document.problem(
        tables[kMaxBackends].position_of(""), "backend",
        fmt::format("there are {}, must be at most {}", backends.size(), kMaxBackends));
  }
}

// ---- What only shows when tables are read together ----

void check_backends(ConfigReader& document, std::vector<TableReader>& tables,
                    const std::vector<BackendConfig>& backends) {
  if (document.has_gaps()) return;
  if (backends.empty()) {
    if (document.has_some("backend")) return;  // what is wrong with it was told
    document.problem({1, 1}, "backend",
                     "there is none, write at least one [[backend]] with a name and an address");
    return;
  }
  const bool all_backup = std::all_of(backends.begin(), backends.end(),
                                      [](const BackendConfig& backend) { return backend.backup; });
  if (all_backup) {
    tables.front().problem("backup", "every backend is a backup, at least one must not be");
  }
}

void check_ring_size(ConfigReader& document, TableReader& first_backend, const Config& config) {
  std::uint64_t weights = 0;
  for (const BackendConfig& backend : config.backends) weights += backend.weight;
  const std::uint64_t points = weights * config.hash.virtual_nodes;
  if (points <= kMaxRingPoints || document.has_gaps()) return;

  const std::string what = fmt::format(
      "{} x {} (the weights of all backends) makes {} points on the ring, must be at most {}",
      config.hash.virtual_nodes, weights, points, kMaxRingPoints);
  const auto written = document.position_of("hash", "virtual_nodes");
  document.problem(written.line != 0 ? written : first_backend.position_of("weight"),
                   "hash.virtual_nodes", what);
}

void check_admin_address(ConfigReader& document, const Config& config) {
  const SocketAddress& wanted = config.admin.listen;
  const auto other = in_the_way(config.server.listen, wanted);
  if (!other || document.has_gaps()) return;
  const auto written = document.position_of("admin", "listen");
  const bool is_default = written.line == 0;
  const std::string how =
      *other == wanted ? "is an address of server.listen too"
                       : fmt::format("conflicts with \"{}\" of server.listen", other->to_string());
  document.problem(is_default ? document.position_of("server", "listen") : written, "admin.listen",
                   fmt::format("\"{}\"{} {}, must be another", wanted.to_string(),
                               is_default ? " (the default)" : "", how));
}

}  // namespace

void read_schema(ConfigReader& document, Config& config) {
  read_server(document.table("server"), config.server);
  read_admin(document.table("admin"), config.admin);
  read_hash(document.table("hash"), config.hash);
  read_rate_limit(document.table("rate_limit"), config.rate_limit);
  read_health(document.table("health"), config.health);
  read_upstream(document.table("upstream"), config.upstream);
  read_log(document.table("log"), config.log);
  std::vector<TableReader> backends = document.tables("backend");
  read_backends(document, backends, config.backends);

  check_admin_address(document, config);
  check_backends(document, backends, config.backends);
  if (!backends.empty()) check_ring_size(document, backends.front(), config);
  document.report_unknown_keys();
}

}  // namespace ringmaster
