// Lays a config's routing out in the segment: upstream entries, routing table, rings. Runs in the
// master before the generation's workers are forked.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/base/result.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// Returns the segment's index of each of config.backends, in their order. On failure nothing that
// is in force was touched.
Result<std::vector<std::uint32_t>> publish_routing(const Config& config, Segment& segment,
                                                   std::uint32_t generation);

}  // namespace ringmaster
