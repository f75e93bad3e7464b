#include "master/routing_publisher.h"

namespace ringmaster {
namespace {

void write_ring(const Config& config, const std::vector<std::uint32_t>& upstreams, bool backup,
                std::byte* memory) {
  std::vector<RingMember> members;
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const BackendConfig& backend = config.backends[i];
    if (backend.backup == backup) {
      members.push_back({backend.name, backend.weight, upstreams[i]});
    }
  }
  HashRing::build(members, config.hash.virtual_nodes, memory);
}

}  // namespace

Result<std::vector<std::uint32_t>> find_upstreams(const Config& config, Segment& segment) {
  std::vector<std::uint32_t> upstreams;
  for (const BackendConfig& backend : config.backends) {
    auto index = segment.claim_upstream(backend.name);
    if (!index) return Error{index.error()};
    UpstreamState& upstream = segment.upstream(*index);
    if (upstream.retired_at_ms() != 0) {  // back again; what was known of it is stale
      upstream.set_health(HealthState::kUnknown, HealthCause::kNone);
      upstream.explain(0, {});
      upstream.set_retired_at_ms(0);
    }
    upstreams.push_back(*index);
  }
  return upstreams;
}

Result<std::vector<std::uint32_t>> publish_routing(const Config& config, Segment& segment,
                                                   std::uint32_t generation) {
  auto found = find_upstreams(config, segment);
  if (!found) return found;
  const std::vector<std::uint32_t>& upstreams = *found;
  if (auto claimed = segment.claim_routing(generation); !claimed) return Error{claimed.error()};
  RoutingTable& table = segment.routing(generation);
  table = {};
  table.generation = generation;
  table.route_count = static_cast<std::uint32_t>(config.backends.size());
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const BackendConfig& backend = config.backends[i];
    table.routes[upstreams[i]] = {upstreams[i], backend.weight, backend.max_connections,
                                  backend.backup ? 1u : 0u};
  }
  write_ring(config, upstreams, /*backup=*/false, segment.ring_memory(generation, false));
  write_ring(config, upstreams, /*backup=*/true, segment.ring_memory(generation, true));
  return found;
}

}  // namespace ringmaster
