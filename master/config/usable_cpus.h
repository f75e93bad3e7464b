// How many CPUs this process may use: what `workers = "auto"` means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringmaster {

// Those that it may run on, but no more than the quota of its control group pays for, as a limit of
// a container or CPUQuota= of a service sets one. At least 1.
std::uint32_t usable_cpus();

// The quota in CPUs, rounded up: the least of the group that `membership` (the text of
// /proc/self/cgroup) names and of those above it, of version 2 and mounted at `root`. Nothing:
// there is none.
std::optional<std::uint32_t> cpus_by_quota(const std::string& root, const std::string& membership);

}  // namespace ringmaster
