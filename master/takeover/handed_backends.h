// What was known of each backend (an operator's order, its address, the verdict on it), for an
// image of the master that cannot read the memory in which it stands. Writer: the image before, at
// each exec. Reader: the next one, if the layout of the memory has changed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "shared/base/socket_address.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// As in UpstreamState.
struct HandedBackend {
  std::string name;
  bool drained = false;
  std::uint64_t place = UpstreamState::kNowhere;
  SocketAddress address;
  HealthState state = HealthState::kUnknown;
  HealthCause cause = HealthCause::kNone;
  KeyShare keys = kAllKeys;
  std::uint64_t ramp_began_ms = 0;
  std::int64_t since_ms = 0;
  std::string reason;
  std::uint64_t retired_at_ms = 0;
};

// All that the segment knows, those that are in no config any more included: they may have tunnels.
std::vector<HandedBackend> describe_backends(const Segment& segment);
// Fills a segment in which nobody is known yet. Those for whom there is no room are left out.
void furnish(const Segment& segment, const std::vector<HandedBackend>& backends);

nlohmann::json backends_to_json(const std::vector<HandedBackend>& backends);
// What is missing or not understood is as if nothing was known. Throws what nlohmann::json throws.
std::vector<HandedBackend> backends_from_json(const nlohmann::json& list);

}  // namespace ringmaster
