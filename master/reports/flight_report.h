// What the flight recorder holds, as JSON: for `ringmaster ctl recorder` and `ctl why`.
// Read from shared memory at the moment of asking; a request that a worker is just writing down is
// left out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "shared/memory/segment.h"

namespace ringmaster {

inline constexpr std::size_t kMostReportedRequests = kRecordedRequests;

// A JSON array of the last `last` requests of all workers together, oldest first. `dead_only`:
// those that a worker was at when it died, however many there are up to kMostReportedRequests.
std::string render_recorder(const Segment& segment, std::size_t last, bool dead_only);

// A JSON array of the requests of that id, oldest first; usually one. Empty ("") if there is none.
std::string render_requests_called(const Segment& segment, std::string_view id);

}  // namespace ringmaster
