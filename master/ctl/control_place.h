// Where the master that `ringmaster ctl` is to talk to may have its control socket.
#pragma once

#include <string>
#include <vector>

#include "shared/base/result.h"

namespace ringmaster {

// Paths, the surest place first; at least one. By the environment of a service, and by admin.socket
// of the config, which may have been broken just now: then more than ever somebody wants to look.
// The error says why no place can be made out.
Result<std::vector<std::string>> find_control_places(const std::string& config_file);

}  // namespace ringmaster
