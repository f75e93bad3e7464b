#include "master/config/config_warnings.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "master/config/config_text.h"
#include "master/config/config_values.h"
#include "shared/base/socket_address.h"

namespace ringmaster {
namespace {

// What a worker has open besides its connections.
constexpr rlim_t kOtherFiles = 64;

// One spelling for each host: IPv6 in its short form, names in lower case and without a last dot.
std::string comparable_host(const BackendConfig& backend) {
  const auto ip = IpAddress::parse(backend.host);
  std::string host = ip ? ip->to_string() : lower(backend.host);
  if (host.ends_with('.')) host.pop_back();
  return host;
}

std::string comparable_address(const BackendConfig& backend) {
  return fmt::format("{} {}", comparable_host(backend), backend.port);
}

// Whether what is sent to the backend comes back to us.
bool leads_to_ourselves(const BackendConfig& backend, const SocketAddress& listener) {
  const std::string host = comparable_host(backend);
  const bool is_name = host == "localhost";
  const bool is_loopback = is_name || host == "::1" || host.starts_with("127.");
  const auto place =
      SocketAddress::parse(is_name ? fmt::format("127.0.0.1:{}", backend.port) : backend.address());
  // "0.0.0.0" covers every address, of other machines too.
  return place && (listener == *place || (is_loopback && listener.covers(*place)));
}

// What is found, each at its place in the file.
class Warnings {
 public:
  explicit Warnings(const ConfigReader& document) : document_(document) {}

  void add(std::string_view table, std::string_view key, std::string message) {
    add_at(document_.position_of(table, key), std::move(message));
  }
  // About the address of backend `index`.
  void add(std::size_t index, std::string message) {
    add_at(document_.position_of("backend", index, "address"), std::move(message));
  }
  std::vector<ConfigProblem> take() {
    sort_by_position(found_);
    return std::move(found_);
  }

 private:
  void add_at(toml::source_position at, std::string message) {
    found_.push_back({at.line, at.column, std::move(message)});
  }

  const ConfigReader& document_;
  std::vector<ConfigProblem> found_;
};

void look_at_listeners(const Config& config, Warnings& warnings) {
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const BackendConfig& backend = config.backends[i];
    for (const SocketAddress& listener : config.server.listen) {
      if (!leads_to_ourselves(backend, listener)) continue;
      warnings.add(i, fmt::format("backend \"{}\" is this balancer itself: server.listen has {}",
                                  backend.name, listener.to_string()));
    }
    if (leads_to_ourselves(backend, config.admin.listen)) {
      warnings.add(i, fmt::format("backend \"{}\" is this balancer's own admin endpoint ({}): "
                                  "clients are shown its pages",
                                  backend.name, config.admin.listen.to_string()));
    }
  }
}

bool is_directory(const std::string& path) {
  std::error_code failure;
  return std::filesystem::is_directory(path, failure);
}

// A log is no reason not to serve; but nobody else would say so before it is missed.
void look_at_access_log(const LogConfig& log, Warnings& warnings) {
  if (!log.access.starts_with('/')) return;
  const std::string directory = std::filesystem::path(log.access).parent_path();
  const bool has_directory = ::access(directory.c_str(), F_OK) == 0;
  if (has_directory && !is_directory(log.access)) return;
  const std::string why =
      has_directory ? "that is a directory" : fmt::format("there is no directory {}", directory);
  warnings.add("log", "access",
               fmt::format("log.access = \"{}\": {}, so nothing is logged", log.access, why));
}

// Which a start or a reload would refuse; but on another machine than this it may be right. What is
// in /run may be made by who starts us.
void look_at_control_socket(const AdminConfig& admin, Warnings& warnings) {
  const std::string directory = std::filesystem::path(admin.socket).parent_path();
  if (!directory.empty() && !admin.socket.starts_with("/run/") && !is_directory(directory)) {
    warnings.add(
        "admin", "socket",
        fmt::format("admin.socket = \"{}\": there is no directory {}, so it cannot be opened",
                    admin.socket, directory));
  }
  if (!is_directory(admin.socket)) return;
  warnings.add("admin", "socket",
               fmt::format("admin.socket = \"{0}\": that is a directory, must be the path of a "
                           "socket in one, for example \"{0}/control.sock\"",
                           admin.socket));
}

// Copied and half edited, as a rule; but shares of one machine under several names may be meant.
void look_at_addresses(const std::vector<BackendConfig>& backends, Warnings& warnings) {
  std::map<std::string, const BackendConfig*> seen;
  std::string first;
  std::size_t place = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    const BackendConfig& backend = backends[i];
    const auto [other, is_new] = seen.emplace(comparable_address(backend), &backend);
    if (is_new || ++count > 1) continue;
    place = i;
    first = fmt::format("backends \"{}\" and \"{}\" have the same address, {}", other->second->name,
                        backend.name, backend.address());
  }
  if (count == 0) return;
  const std::string others = count == 1 ? "" : fmt::format(" ({} more are like that)", count - 1);
  warnings.add(place, first + others + ": it is probed, and gets its keys, once for each");
}

void look_at_health(const HealthConfig& health, Warnings& warnings) {
  const auto longer = [&](std::string_view key, Duration value, std::string_view what) {
    if (value <= health.interval) return;
    warnings.add("health", key,
                 fmt::format("health.{} = \"{}\" is longer than health.interval = \"{}\": {}", key,
                             to_text(value), to_text(health.interval), what));
  };
  longer("timeout", health.timeout, "a backend that hangs is probed only once in that time");
  longer("fast_interval", health.fast_interval,
         "a backend in doubt is probed less often than one that is fine");
}

}  // namespace

std::vector<ConfigProblem> warnings_of(const Config& config, const ConfigReader& document) {
  Warnings warnings(document);
  look_at_addresses(config.backends, warnings);
  look_at_listeners(config, warnings);
  look_at_control_socket(config.admin, warnings);
  look_at_access_log(config.log, warnings);
  look_at_health(config.health, warnings);
  return warnings.take();
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
