// How many clients a worker may have at once. Workers keep to it, the master tells it.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

#include "shared/config.h"

namespace ringmaster {

// server.max_connections, or what this process' limit on open files allows: a connection needs one
// descriptor for the client and may need one for a backend. Some are for what else is open.
inline std::uint32_t client_limit(const ServerConfig& server) noexcept {
  if (server.max_connections != 0) return server.max_connections;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t usable = files.rlim_cur - std::min<rlim_t>(files.rlim_cur / 2, 64);
  return static_cast<std::uint32_t>(std::clamp<rlim_t>(usable / 2, 1, 1'000'000));
}

}  // namespace ringmaster
