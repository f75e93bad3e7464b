// Where requests of one config generation may go: its backends and the two rings over them (the
// normal ones and the backups). Writer: the master, before it forks that generation's workers;
// never changed after. Readers: the workers. What changes (health, addresses, load) lies elsewhere:
// upstream_state, metrics_slab.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "shared/memory/hash_ring.h"
#include "shared/memory/limits.h"

namespace ringmaster {

struct alignas(16) Route {        // never over two cache lines
  std::uint32_t weight;           // 0: not in this generation
  std::uint32_t max_connections;  // requests in flight, of all workers; 0: no limit
  std::uint32_t backup;           // 0 or 1
};

struct alignas(kCacheLine) RoutingTable {
  std::array<Route, kMaxUpstreams> routes;  // indexed by upstream
};
static_assert(std::is_trivially_copyable_v<RoutingTable>);
static_assert(sizeof(RoutingTable) % kCacheLine == 0);

}  // namespace ringmaster
