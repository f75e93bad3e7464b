#include "worker/proxy/balancer.h"

#include <atomic>
#include <string>
#include <utility>

namespace ringmaster {
namespace {

// A backend that is not asked, told once: a retry passes it over again.
void pass_over(RequestRecord& record, std::uint32_t upstream, TrailStep why) noexcept {
  for (std::size_t i = 0; i < record.kept_steps(); ++i) {
    if (record.step(i).upstream == upstream) return;
  }
  record.add_step(upstream, why, 0);
}

}  // namespace

Balancer::Balancer(WorkerContext& context)
    : context_(context),
      table_(context.segment.routing(context.generation)),
      ring_(context.segment.ring(context.generation, false)),
      backups_(context.segment.ring(context.generation, true)),
      in_flight_(context),
      bound_(context) {
  on_routes_changed();
}

Balancer::Place Balancer::locate(const RequestHead& head, const IpAddress& client) const noexcept {
  const HashConfig& by = context_.config.hash;
  std::string_view named;  // null: not there
  switch (by.key) {
    case HashConfig::Key::kUri:
      // "http://h?q" means "http://h/?q": both spellings are one key. Rare enough to build a string
      // for.
      if (head.path_and_query.starts_with('?'))
        return {hash_key("/" + std::string(head.path_and_query)), RecordedKey::kUri};
      return {hash_key(head.path_and_query), RecordedKey::kUri};
    case HashConfig::Key::kPath:
      return {hash_key(head.path()), RecordedKey::kPath};
    case HashConfig::Key::kHeader:
      named = head.find(by.key_name);
      if (named.data() != nullptr) return {hash_key(named), RecordedKey::kHeader};
      break;
    case HashConfig::Key::kCookie:
      named = head.cookie(by.key_name);
      if (named.data() != nullptr) return {hash_key(named), RecordedKey::kCookie};
      break;
    case HashConfig::Key::kClientIp:
      break;
  }
  const std::string_view address(reinterpret_cast<const char*>(client.bytes.data()),
                                 client.bytes.size());
  return {hash_key(address), RecordedKey::kClientIp};
}

std::uint32_t Balancer::prefetch_state(const Place& place) const noexcept {
  if (ring_.is_empty()) return HashRing::kNone;
  const std::uint32_t owner = ring_.owner(place.hash);
  context_.segment.upstream(owner).prefetch();
  context_.metrics.upstreams[owner].prefetch();
  return owner;
}

Balancer::Choice Balancer::choose(const TriedUpstreams& tried, RequestRecord& record) noexcept {
  Search search{tried, record, HashRing::kNone, {HashRing::kNone, false, {}}};
  // Backups only while no other backend is up, not because the others are busy.
  for (const HashRing* ring : {&ring_, &backups_}) {
    if (ring->is_empty()) continue;
    const bool found = walk<Rule::kPreferred>(*ring, search) ||
                       (search.choice.overloaded && walk<Rule::kAny>(*ring, search));
    if (found && ring == &backups_) record.set(RequestRecord::kBackup);
    if (found || search.choice.overloaded) break;
  }
  if (search.owner != HashRing::kNone) record.owner = static_cast<std::uint16_t>(search.owner);
  return std::move(search.choice);
}

// By the rules of choose(): a full one is none, and makes no backup of a backup.
bool Balancer::has_other(const TriedUpstreams& tried, std::uint32_t but) const noexcept {
  for (const std::uint32_t backup : {0u, 1u}) {
    bool any = false;
    for (std::uint32_t i = 0; i < in_flight_.size(); ++i) {
      const auto& route = table_.routes[i];
      const bool is_asked =
          route.weight != 0 && route.backup == backup && i != but && !tried.has(i);
      if (!is_asked || !context_.segment.upstream(i).is_usable()) continue;
      any = true;
      const std::uint32_t limit = route.max_connections;
      if (limit == 0 || context_.segment.in_flight(i) < limit) return true;
    }
    if (any) return false;
  }
  return false;
}

void Balancer::on_routes_changed() noexcept {
  const auto is_usable = [this](std::uint32_t upstream, bool backup) {
    const Route& route = table_.routes[upstream];
    return route.weight != 0 && (route.backup != 0) == backup &&
           context_.segment.upstream(upstream).is_usable();
  };
  bool backups = true;  // serve, for nobody else does
  for (std::uint32_t i = 0; i < in_flight_.size() && backups; ++i) backups = !is_usable(i, false);
  bound_.begin_shares();
  for (std::uint32_t i = 0; i < in_flight_.size(); ++i) {
    const bool in_use = is_usable(i, backups);
    in_flight_.set_in_use(i, in_use);
    const auto weight =
        std::uint64_t{table_.routes[i].weight} * context_.segment.upstream(i).keys();
    bound_.set_weight(i, in_use ? static_cast<double>(weight) : 0);
  }
  bound_.end_shares();
}

template <Balancer::Rule kRule>
bool Balancer::walk(const HashRing& ring, Search& search) noexcept {
  const auto refused = [&](std::uint32_t upstream, TrailStep why) {
    pass_over(search.record, upstream, why);
    return false;
  };
  search.choice.upstream = ring.walk(search.record.hash, [&](std::uint32_t upstream) {
    if (search.owner == HashRing::kNone) search.owner = upstream;
    const UpstreamState::Verdict health = context_.segment.upstream(upstream).verdict();
    const KeyShare keys = health.keys;
    if (!health.is_usable()) {
      const bool drains = health.state == HealthState::kDraining;
      return refused(upstream, drains ? TrailStep::kWasDraining : TrailStep::kWasDown);
    }
    if (search.tried.has(upstream)) return false;
    search.choice.overloaded = true;  // unless it takes it
    if (kRule == Rule::kPreferred) {
      const bool admits = keys == kAllKeys || UpstreamState::is_within(keys, search.record.hash);
      if (!admits) return refused(upstream, TrailStep::kStartedSlowly);
      const bool has_room = !bound_.is_on() || bound_.has_room(upstream);
      if (!has_room) return refused(upstream, TrailStep::kWasOverBound);
    }
    return take_place(upstream, search.choice.in_flight) || refused(upstream, TrailStep::kWasFull);
  });
  if (search.choice.upstream == HashRing::kNone) return false;
  if (search.choice.upstream != search.owner && search.tried.is_empty()) {
    context_.metrics.upstreams[search.owner].hash_spills.add();
  }
  return true;
}

bool Balancer::take_place(std::uint32_t upstream, InFlight& place) noexcept {
  place = in_flight_.count(upstream);
  const std::uint32_t limit = table_.routes[upstream].max_connections;
  if (limit == 0) return true;
  // First take the place, then count: of two workers that take the last one at once at least one
  // sees the other's (the fence orders our store before our loads), so the limit is never passed.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (context_.segment.in_flight(upstream) <= limit) return true;
  place.release();
  return false;
}

}  // namespace ringmaster
