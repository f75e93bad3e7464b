// What changes in shared memory when the generation of a config comes into force, beside the fact
// itself: its backends, and what a request costs. Called by the Master alone.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// Backends that are not among `in_use` any more, or that a refused config was to have: their series
// stay for a while.
void retire_backends(Segment& segment, const std::vector<std::uint32_t>& in_use);

// Backends stay drained over reloads, crashes, and while a config does not have them: long, maybe.
// Logs which of these are.
void tell_of_drained(const Segment& segment, const std::vector<std::uint32_t>& upstreams);

// A client that had spent its burst neither gets another nor waits by the rate of yesterday.
void reprice_buckets(Segment& segment, const RateLimitConfig& limit);

}  // namespace ringmaster
