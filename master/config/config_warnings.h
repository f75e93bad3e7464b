// What a valid config may say and hardly ever means. Told by --check and at every start; nothing is
// refused for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/config/config_problem.h"
#include "master/config/config_reader.h"
#include "shared/config.h"

namespace ringmaster {

// By position. `document`: what `config` was read from.
std::vector<ConfigProblem> warnings_of(const Config& config, const ConfigReader& document);

// Whether this process' limit on open files, which its workers inherit, is too low for
// max_connections: what --check cannot know, of a service with limits of its own.
std::optional<std::string> warning_of_file_limit(const ServerConfig& server);

}  // namespace ringmaster
