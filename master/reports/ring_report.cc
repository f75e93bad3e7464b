#include "master/reports/ring_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace ringmaster {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kNobody = HashRing::kNone;

// Both rings of a generation, and who may take requests now. It decides as a worker does
// (worker/proxy/balancer.cc), but for limits on what a backend has in flight, which pass in
// moments.
class Ring {
 public:
  explicit Ring(const ReportSource& source)
      : segment_(source.segment),
        primary_(segment_.ring(source.own_generation, false)),
        backups_(segment_.ring(source.own_generation, true)),
        any_primary_(std::any_of(source.upstreams.begin(), source.upstreams.end(), [&](auto i) {
          return segment_.routing(source.own_generation).routes[i].backup == 0 && is_usable(i);
        })) {
    for (std::uint32_t i = 0; !any_primary_ && i < backups_.point_count(); ++i) {
      if (is_usable(backups_.point(i).upstream())) usable_backups_.push_back(backups_.point(i));
    }
  }

  const HashRing& points() const { return primary_.is_empty() ? backups_ : primary_; }
  bool is_usable(std::uint32_t upstream) const { return segment_.upstream(upstream).is_usable(); }
  bool is_served_by_backups() const { return !any_primary_; }

  std::uint32_t home_of(std::uint64_t hash) const {
    return points().is_empty() ? kNobody : points().point(points().locate(hash)).upstream();
  }
  std::uint32_t server_of(std::uint64_t hash) const {
    if (any_primary_) {
      return primary_.walk(hash, [this](std::uint32_t upstream) { return is_usable(upstream); });
    }
    if (usable_backups_.empty()) return kNobody;
    const auto next = std::lower_bound(
        usable_backups_.begin(), usable_backups_.end(), RingPoint::place_of(hash),
        [](const RingPoint& point, std::uint64_t place) { return point.place() < place; });
    return (next == usable_backups_.end() ? usable_backups_.front() : *next).upstream();
  }

 private:
  const Segment& segment_;
  const HashRing primary_;
  const HashRing backups_;
  const bool any_primary_;
  std::vector<RingPoint> usable_backups_;  // in order, while they serve
};

// The share of all keys that went from one backend (first) to another (second, or nobody).
using Moves = std::map<std::pair<std::uint32_t, std::uint32_t>, double>;

// Exact, in two rounds against the order of the walk: whoever is in use and lies next is known at
// each point without looking for it. While backups serve, an arc counts as a whole for whoever
// serves its end.
Moves find_moves(const Ring& ring) {
  Moves moves;
  const HashRing& points = ring.points();
  const std::uint32_t count = points.point_count();
  if (count == 0) return moves;
  std::uint32_t next = kNobody;
  for (std::uint64_t step = 2 * std::uint64_t{count}; step-- > 0;) {
    const auto position = static_cast<std::uint32_t>(step % count);
    const RingPoint point = points.point(position);
    const bool is_usable = ring.is_usable(point.upstream());
    if (is_usable) next = point.upstream();
    if (step >= count || is_usable) continue;
    const std::uint64_t before = points.point(position == 0 ? count - 1 : position - 1).hash();
    const double arc = points.member_count() == 1 && count == 1
                           ? 1.0
                           : static_cast<double>(point.hash() - before) * 0x1p-64;
    const std::uint32_t server = ring.is_served_by_backups() ? ring.server_of(point.hash()) : next;
    moves[{point.upstream(), server}] += arc;
  }
  return moves;
}

std::vector<std::uint8_t> states_of(const ReportSource& source) {
  std::vector<std::uint8_t> states;
  for (const std::uint32_t upstream : source.upstreams) {
    states.push_back(static_cast<std::uint8_t>(source.segment.upstream(upstream).health()));
  }
  return states;
}

Json name_of(const ReportSource& source, std::uint32_t upstream) {
  return upstream == kNobody ? Json() : Json(source.segment.upstream(upstream).name());
}

std::string render_anew(const ReportSource& source, const std::vector<std::uint8_t>& states) {
  const Ring ring(source);
  Json backends = Json::array();
  std::map<std::uint32_t, int> index_of{{kNobody, -1}};
  for (std::size_t i = 0; i < source.upstreams.size(); ++i) {
    index_of[source.upstreams[i]] = static_cast<int>(i);
    backends.push_back({{"name", source.config.backends[i].name},
                        {"state", label(static_cast<HealthState>(states[i]))}});
  }
  Json home = Json::array(), serves = Json::array();
  for (std::uint32_t i = 0; i < kRingPlaces; ++i) {
    // The middle of each place, in units of 1/720 of 2^64.
    constexpr std::uint64_t kStep = UINT64_MAX / kRingPlaces;
    const std::uint64_t hash = kStep * i + kStep / 2;
    home.push_back(index_of.at(ring.home_of(hash)));
    serves.push_back(index_of.at(ring.server_of(hash)));
  }
  Json moved = Json::array();
  for (const auto& [who, share] : find_moves(ring)) {
    moved.push_back({{"from", name_of(source, who.first)},
                     {"to", name_of(source, who.second)},
                     {"share", share}});
  }
  const Json report = {{"generation", source.generation}, {"points", ring.points().point_count()},
                       {"backends", std::move(backends)}, {"home", std::move(home)},
                       {"serves", std::move(serves)},     {"moved", std::move(moved)}};
  return report.dump() + "\n";
}

}  // namespace

const std::string& RingReport::render(const ReportSource& source) {
  std::vector<std::uint8_t> states = states_of(source);
  if (report_.empty() || states != states_ || generation_ != source.generation) {
    report_ = render_anew(source, states);
    states_ = std::move(states);
    generation_ = source.generation;
  }
  return report_;
}

}  // namespace ringmaster
