#include "master/version.h"

// The build defines both; without it (an editor, a lone test) there is nothing better to say.
#ifndef RINGMASTER_VERSION
#define RINGMASTER_VERSION "dev"
#endif
#ifndef RINGMASTER_REVISION
#define RINGMASTER_REVISION "unknown"
#endif

namespace ringmaster {

constexpr std::string_view kVersion = RINGMASTER_VERSION;
constexpr std::string_view kRevision = RINGMASTER_REVISION;

}  // namespace ringmaster
