#include "worker/proxy/balancer.h"

#include <atomic>
#include <string>

namespace ringmaster {

Balancer::Balancer(WorkerContext& context) noexcept
    : context_(context),
      table_(context.segment.routing(context.generation)),
      ring_(context.segment.ring(context.generation, false)),
      backups_(context.segment.ring(context.generation, true)) {}

std::uint64_t Balancer::locate(const RequestHead& head, const IpAddress& client) const noexcept {
  std::string_view key;
  switch (context_.config.hash.key) {
    case HashConfig::Key::kUri:
      // "http://h?q" means "http://h/?q": both spellings are one key. Rare enough to build a string
      // for.
      if (head.path_and_query.starts_with('?'))
        return hash_key("/" + std::string(head.path_and_query));
      return hash_key(head.path_and_query);
    case HashConfig::Key::kPath:
      return hash_key(head.path());
    case HashConfig::Key::kHeader:
      key = head.find(context_.config.hash.key_name);
      break;
    case HashConfig::Key::kCookie:
      key = head.cookie(context_.config.hash.key_name);
      break;
    case HashConfig::Key::kClientIp:
      break;
  }
  if (key.data() != nullptr) return hash_key(key);
  return hash_key({reinterpret_cast<const char*>(client.bytes.data()), client.bytes.size()});
}

Balancer::Choice Balancer::choose(std::uint64_t hash, const TriedUpstreams& tried) noexcept {
  bool any_up = false;
  std::uint32_t owner = HashRing::kNone;
  const auto accept = [&](std::uint32_t upstream) {
    if (owner == HashRing::kNone) owner = upstream;
    if (!context_.segment.upstream(upstream).is_usable() || tried.has(upstream)) return false;
    any_up = true;
    return take_place(upstream, table_.routes[upstream].max_connections);
  };
  std::uint32_t chosen = HashRing::kNone;
  if (!ring_.is_empty()) chosen = ring_.walk(hash, accept);
  // Backups only while no other backend is up, not because the others are busy.
  if (chosen == HashRing::kNone && !any_up && !backups_.is_empty()) {
    chosen = backups_.walk(hash, accept);
  }
  if (chosen == HashRing::kNone) return {chosen, any_up, InFlight()};
  if (chosen != owner && tried.is_empty()) context_.metrics.upstreams[owner].hash_spills.add();
  return {chosen, false, InFlight(context_.metrics.upstreams[chosen].in_flight)};
}

bool Balancer::take_place(std::uint32_t upstream, std::uint32_t limit) noexcept {
  Gauge& mine = context_.metrics.upstreams[upstream].in_flight;
  mine.add();
  if (limit == 0) return true;
  // First take the place, then count: of two workers that take the last one at once at least one
  // sees the other's (the fence orders our store before our loads), so the limit is never passed.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (context_.segment.in_flight(upstream) <= limit) return true;
  mine.subtract();
  return false;
}

}  // namespace ringmaster
