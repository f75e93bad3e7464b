#include "master/config_warnings.h"

#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <cstddef>
#include <map>

#include "master/config_text.h"
#include "shared/base/socket_address.h"

namespace ringmaster {
namespace {

// What a worker has open besides its connections.
constexpr rlim_t kOtherFiles = 64;

void look_at_file_limit(const ServerConfig& server, std::vector<std::string>& warnings) {
  rlimit files;
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  // One for the client, one for a backend.
  const rlim_t needed = 2 * rlim_t{server.max_connections} + kOtherFiles;
  if (needed <= files.rlim_cur) return;
  warnings.push_back(fmt::format(
      "server.max_connections = {} may need {} open files a worker, and the limit is {}: raise it "
      "(LimitNOFILE, ulimit -n), or lower max_connections",
      server.max_connections, needed, files.rlim_cur));
}

// One spelling for each place: IPv6 in its short form, names in lower case.
std::string comparable_address(const BackendConfig& backend) {
  const auto ip = IpAddress::parse(backend.host);
  std::string host = ip ? ip->to_string() : lower(backend.host);
  if (host.ends_with('.')) host.pop_back();
  return fmt::format("{} {}", host, backend.port);
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
    first = fmt::format("backends \"{}\" and \"{}\" have the same address, {}",
                        other->second->name, backend.name, backend.address());
  }
  if (count == 0) return;
  const std::string others = count == 1 ? "" : fmt::format(" ({} more are like that)", count - 1);
  warnings.push_back(first + others + ": it is probed, and gets its keys, once for each");
}

}  // namespace

std::vector<std::string> warnings_of(const Config& config) {
  std::vector<std::string> warnings;
  look_at_file_limit(config.server, warnings);
  look_at_addresses(config.backends, warnings);
  return warnings;
}

}  // namespace ringmaster
