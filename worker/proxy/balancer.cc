#include "worker/proxy/balancer.h"

#include <atomic>
#include <string>

namespace ringmaster {

Balancer::Balancer(WorkerContext& context) noexcept
    : context_(context),
      table_(context.segment.routing(context.generation)),
      ring_(context.segment.ring(context.generation, false)),
      backups_(context.segment.ring(context.generation, true)) {}

namespace {

RecordedKey recorded(HashConfig::Key key) noexcept {
  static_assert(static_cast<int>(RecordedKey::kCookie) ==
                static_cast<int>(HashConfig::Key::kCookie));
  return static_cast<RecordedKey>(key);
}

// A backend that is not asked, told once: a retry passes it over again.
void pass_over(RequestRecord& record, std::uint32_t upstream, TrailStep why) noexcept {
  for (std::size_t i = 0; i < record.kept_steps(); ++i) {
    if (record.step(i).upstream == upstream) return;
  }
  record.add_step(upstream, why, 0);
}

}  // namespace

void Balancer::locate(const RequestHead& head, const IpAddress& client,
                      RequestRecord& record) const noexcept {
  record.key = recorded(context_.config.hash.key);
  record.set(RequestRecord::kHasHash);
  record.hash = hash_of(head, client, record.key);
}

std::uint64_t Balancer::hash_of(const RequestHead& head, const IpAddress& client,
                                RecordedKey& used) const noexcept {
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
  used = RecordedKey::kClientIp;
  return hash_key({reinterpret_cast<const char*>(client.bytes.data()), client.bytes.size()});
}

Balancer::Choice Balancer::choose(const TriedUpstreams& tried, RequestRecord& record) noexcept {
  bool any_up = false;
  std::uint32_t owner = HashRing::kNone;
  const auto accept = [&](std::uint32_t upstream) {
    if (owner == HashRing::kNone) owner = upstream;
    const UpstreamState& state = context_.segment.upstream(upstream);
    if (!state.is_usable()) {
      const bool drains = state.health() == HealthState::kDraining;
      pass_over(record, upstream, drains ? TrailStep::kWasDraining : TrailStep::kWasDown);
      return false;
    }
    if (tried.has(upstream)) return false;
    any_up = true;
    if (take_place(upstream, table_.routes[upstream].max_connections)) return true;
    pass_over(record, upstream, TrailStep::kWasFull);
    return false;
  };
  std::uint32_t chosen = HashRing::kNone;
  if (!ring_.is_empty()) chosen = ring_.walk(record.hash, accept);
  // Backups only while no other backend is up, not because the others are busy.
  if (chosen == HashRing::kNone && !any_up && !backups_.is_empty()) {
    chosen = backups_.walk(record.hash, accept);
    if (chosen != HashRing::kNone) record.set(RequestRecord::kBackup);
  }
  if (owner != HashRing::kNone) record.owner = static_cast<std::uint16_t>(owner);
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
