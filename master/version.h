// Which build this is: for --version, /status, ringmaster_build_info and the probes' User-Agent.
#pragma once

#include <string_view>

namespace ringmaster {

extern const std::string_view kVersion;   // "0.1.0"
extern const std::string_view kRevision;  // the short commit, or "unknown"

}  // namespace ringmaster
