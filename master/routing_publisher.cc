#include "master/routing_publisher.h"

#include <optional>
#include <string>
#include <unordered_map>

namespace ringmaster {
namespace {

static_assert(kMaxBackendName < UpstreamState::kNameBytes);  // claim() copies it with its end

void write_ring(const Config& config, const std::vector<std::uint32_t>& upstreams, bool backup,
                const Segment& segment, std::uint32_t generation) {
  std::vector<RingMember> members;
  std::size_t points = 0;
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const BackendConfig& backend = config.backends[i];
    if (backend.backup == backup) {
      members.push_back({backend.name, backend.weight, upstreams[i]});
      points += std::size_t{backend.weight} * config.hash.virtual_nodes;
    }
  }
  std::byte* const memory = segment.ring_memory(generation, backup);
  segment.populate(memory, HashRing::bytes_for(points));
  HashRing::build(members, config.hash.virtual_nodes, memory);
}

// In a table: of a thousand backends each would else be compared with all.
std::unordered_map<std::string, std::uint32_t> upstreams_by_name(const Segment& segment) {
  std::unordered_map<std::string, std::uint32_t> by_name;
  const std::uint32_t count = segment.upstream_count();
  for (std::uint32_t i = 0; i < count; ++i) by_name.emplace(segment.upstream(i).name(), i);
  return by_name;
}

// In use again, a backend that was out of the config before: what was known of it is stale.
void call_back(UpstreamState& upstream) {
  if (upstream.retired_at_ms() == 0) return;
  upstream.set_health(HealthState::kUnknown, HealthCause::kNone);
  upstream.explain(0, {});
  upstream.set_retired_at_ms(0);
}

}  // namespace

Result<std::vector<std::uint32_t>> find_upstreams(const Config& config, Segment& segment) {
  const auto known = upstreams_by_name(segment);
  std::vector<std::optional<std::uint32_t>> found;
  // Those that are known first: the entry of one that comes back is not given to a new one.
  for (const BackendConfig& backend : config.backends) {
    const auto at = known.find(backend.name);
    found.push_back(at == known.end() ? std::nullopt : std::optional(at->second));
    if (found.back()) call_back(segment.upstream(*found.back()));
  }
  std::vector<std::uint32_t> upstreams;
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto index =
        found[i] ? Result<std::uint32_t>(*found[i]) : segment.add_upstream(config.backends[i].name);
    if (!index) return Error{index.error()};
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
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const BackendConfig& backend = config.backends[i];
    table.routes[upstreams[i]] = {backend.weight, backend.max_connections,
                                  backend.backup ? 1u : 0u};
  }
  write_ring(config, upstreams, /*backup=*/false, segment, generation);
  write_ring(config, upstreams, /*backup=*/true, segment, generation);
  return found;
}

}  // namespace ringmaster
