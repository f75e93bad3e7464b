// The config of `ringmaster --demo`: three backends on this machine, nothing to write first.
#pragma once

#include <string>

namespace ringmaster {

std::string demo_config_text();

// Where the demo's master takes orders: one place a user, so that nobody is in another's way.
// Empty: it takes none.
std::string demo_control_path();

}  // namespace ringmaster
