// The config of `ringmaster --demo`: three backends on this machine, nothing to write first.
#pragma once

#include <string_view>

namespace ringmaster {

std::string_view demo_config_text();

}  // namespace ringmaster
