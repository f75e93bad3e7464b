// Which build this is: for --version, /status, ringmaster_build_info and the probes' User-Agent.
#pragma once

#include <string_view>

// The build defines both; without it (an editor, a lone test) there is nothing better to say.
#ifndef RINGMASTER_VERSION
#define RINGMASTER_VERSION "dev"
#endif
#ifndef RINGMASTER_REVISION
#define RINGMASTER_REVISION "unknown"
#endif

namespace ringmaster {

inline constexpr std::string_view kVersion = RINGMASTER_VERSION;
inline constexpr std::string_view kRevision = RINGMASTER_REVISION;

}  // namespace ringmaster
