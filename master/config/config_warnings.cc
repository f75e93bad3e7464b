#include "master/config/config_warnings.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <map>

#include "master/config/config_text.h"
#include "master/config/config_values.h"
#include "shared/base/socket_address.h"

namespace ringmaster {
namespace {

// What a worker has open besides its connections.
constexpr rlim_t kOtherFiles = 64;

// One spelling for each place: IPv6 in its short form, names in lower case.
std::string comparable_address(const BackendConfig& backend) {
  const auto ip = IpAddress::parse(backend.host);
  std::string host = ip ? ip->to_string() : lower(backend.host);
  if (host.ends_with('.')) host.pop_back();
  return fmt::format("{} {}", host, backend.port);
}

// Whether what is sent to `host`:`port` comes back to us.
bool leads_to_ourselves(const BackendConfig& backend, const SocketAddress& listener) {
  const bool is_name = lower(backend.host) == "localhost";
  const bool is_loopback = is_name || backend.host == "::1" || backend.host.starts_with("127.");
  const auto place =
      SocketAddress::parse(is_name ? fmt::format("127.0.0.1:{}", backend.port) : backend.address());
  // "0.0.0.0" covers every address, of other machines too.
  return place && (listener == *place || (is_loopback && listener.covers(*place)));
}

void look_at_listeners(const Config& config, std::vector<std::string>& warnings) {
  for (const BackendConfig& backend : config.backends) {
    for (const SocketAddress& listener : config.server.listen) {
      if (!leads_to_ourselves(backend, listener)) continue;
      warnings.push_back(fmt::format("backend \"{}\" is this balancer itself: server.listen has {}",
                                     backend.name, listener.to_string()));
    }
    if (leads_to_ourselves(backend, config.admin.listen)) {
      warnings.push_back(fmt::format(
          "backend \"{}\" is this balancer's own admin endpoint ({}): clients are shown "
          "its pages",
          backend.name, config.admin.listen.to_string()));
    }
  }
}

// A log is no reason not to serve; but nobody else would say so before it is missed.
void look_at_access_log(const LogConfig& log, std::vector<std::string>& warnings) {
  if (!log.access.starts_with('/')) return;
  const std::string directory = std::filesystem::path(log.access).parent_path();
  if (::access(directory.c_str(), F_OK) == 0) return;
  warnings.push_back(
      fmt::format("log.access = \"{}\": there is no directory {}, so nothing is "
                  "logged",
                  log.access, directory));
}

// Copied and half edited, as a rule; but shares of one machine under several names may be meant.
void look_at_addresses(const std::vector<BackendConfig>& backends,
                       std::vector<std::string>& warnings) {
  std::map<std::string, const BackendConfig*> seen;
  std::string first;
  std::size_t count = 0;
  for (const BackendConfig& backend : backends) {
    const auto [other, is_new] = seen.emplace(comparable_address(backend), &backend);
    if (is_new || ++count > 1) continue;
    first = fmt::format("backends \"{}\" and \"{}\" have the same address, {}", other->second->name,
                        backend.name, backend.address());
  }
  if (count == 0) return;
  const std::string others = count == 1 ? "" : fmt::format(" ({} more are like that)", count - 1);
  warnings.push_back(first + others + ": it is probed, and gets its keys, once for each");
}

void look_at_health(const HealthConfig& health, std::vector<std::string>& warnings) {
  const auto longer = [&](std::string_view key, Duration value, std::string_view what) {
    if (value <= health.interval) return;
    warnings.push_back(fmt::format("health.{} = \"{}\" is longer than health.interval = \"{}\": {}",
                                   key, to_text(value), to_text(health.interval), what));
  };
  longer("timeout", health.timeout, "a backend that hangs is probed only once in that time");
  longer("fast_interval", health.fast_interval,
         "a backend in doubt is probed less often than one that is fine");
}

}  // namespace

std::vector<std::string> warnings_of(const Config& config) {
  std::vector<std::string> warnings;
  look_at_addresses(config.backends, warnings);
  look_at_listeners(config, warnings);
  look_at_access_log(config.log, warnings);
  look_at_health(config.health, warnings);
  return warnings;
}

std::optional<std::string> warning_of_file_limit(const ServerConfig& server) {
  rlimit files;
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return std::nullopt;
  // One for the client, one for a backend.
  const rlim_t needed = 2 * rlim_t{server.max_connections} + kOtherFiles;
  if (needed <= files.rlim_cur) return std::nullopt;
  return fmt::format(
      "server.max_connections = {} may need {} open files per worker, and the limit is {}: raise "
      "it (LimitNOFILE, ulimit -n), or lower max_connections",
      server.max_connections, needed, files.rlim_cur);
}

}  // namespace ringmaster
