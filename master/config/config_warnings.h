// What a valid config may say and hardly ever means. Told by --check and at every start; nothing is
// refused for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/config.h"

namespace ringmaster {

// A line each.
std::vector<std::string> warnings_of(const Config& config);

// Whether this process' limit on open files, which its workers inherit, is too low for
// max_connections: what --check cannot know, of a service with limits of its own.
std::optional<std::string> warning_of_file_limit(const ServerConfig& server);

}  // namespace ringmaster
