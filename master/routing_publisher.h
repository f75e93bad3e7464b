// Lays a config's routing out in the segment: upstream entries, routing table, rings. Runs in the
// master before the generation's workers are forked.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/base/result.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// The segment's index of each of config.backends, in their order; new names get one.
Result<std::vector<std::uint32_t>> find_upstreams(const Config& config, Segment& segment);

// Returns the segment's index of each of config.backends, in their order. On failure nothing that
// is in force was touched.
Result<std::vector<std::uint32_t>> publish_routing(const Config& config, Segment& segment,
                                                   std::uint32_t generation);

}  // namespace ringmaster
