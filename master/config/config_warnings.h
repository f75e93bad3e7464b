// What a valid config may say and hardly ever means. Told by --check and at every start; nothing is
// refused for it.
#pragma once

#include <string>
#include <vector>

#include "shared/config.h"

namespace ringmaster {

// A line each. Looks at this process' limit on open files, which the workers inherit.
std::vector<std::string> warnings_of(const Config& config);

}  // namespace ringmaster
