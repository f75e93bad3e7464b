#include "master/health/health_monitor.h"

#include <algorithm>

#include "shared/base/log.h"

namespace ringmaster {
namespace {

// First probes go out a millisecond apart, and those of many backends within this: nobody is served
// before the last of them.
constexpr std::size_t kFirstRoundMs = 50;

}  // namespace

HealthMonitor::HealthMonitor(uv_loop_t* loop, const Config& config, Segment& segment,
                             std::vector<std::uint32_t> upstreams, Observer& observer)
    : config_(config),
      segment_(segment),
      observer_(observer),
      random_(std::random_device{}()),
      resolver_(loop, *this),
      awaited_verdicts_(upstreams.size(), true),
      awaited_(0) {
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const std::uint32_t upstream = upstreams[i];
    const BackendWatch::Subject subject{i,
                                        upstream,
                                        config.health,
                                        config.backends[i],
                                        segment.upstream(upstream),
                                        segment.master().upstreams[upstream]};
    auto& owner = static_cast<BackendWatch::Owner&>(*this);
    watches_.push_back(std::make_unique<BackendWatch>(loop, subject, random_, owner));
    by_upstream_[upstream] = watches_.back().get();
    // What an earlier image found out still holds: no new round of probes before serving.
    awaited_verdicts_[i] = !watches_.back()->has_verdict();
    awaited_ += awaited_verdicts_[i] ? 1 : 0;
  }
}

bool HealthMonitor::set_drained(std::string_view name, bool drained) {
  for (const auto& watch : watches_) {
    if (config_.backends[watch->index()].name != name) continue;
    watch->set_drained(drained);
    return true;
  }
  return false;
}

void HealthMonitor::start(std::uint32_t serving) {
  started_ = true;
  go_on_with_panic();
  reconsider_panic();
  for (std::size_t i = 0; i < watches_.size(); ++i) {
    find_address(i);
    if (!is_used_by(serving, watches_[i]->upstream())) watches_[i]->settle();
    const std::size_t delay_ms = i * kFirstRoundMs / std::max(watches_.size(), kFirstRoundMs);
    watches_[i]->start(Duration{delay_ms});
  }
}

void HealthMonitor::put_in_force() {
  for (const auto& watch : watches_) watch->settle();
  observer_.on_health_changed();
}

bool HealthMonitor::is_used_by(std::uint32_t generation, std::uint32_t upstream) const noexcept {
  return segment_.is_laid_out(generation) &&
         segment_.routing(generation).routes[upstream].weight != 0;
}

// A host name begins where an earlier generation found it.
void HealthMonitor::find_address(std::size_t backend) {
  const BackendConfig& config = config_.backends[backend];
  BackendWatch& watch = *watches_[backend];
  if (const auto literal = literal_address(config)) return watch.move_to(*literal);

  resolver_.add(backend, config, watch.address());
}

void HealthMonitor::on_reports() {
  segment_.suspicions().collect([this](std::uint32_t upstream) {
    // One that is in no config any more may still be reported by a worker that drains.
    if (by_upstream_[upstream] != nullptr) by_upstream_[upstream]->on_report();
  });
}

std::size_t HealthMonitor::up_count() const noexcept {
  return static_cast<std::size_t>(std::count_if(watches_.begin(), watches_.end(),
                                                [](const auto& watch) { return watch->is_up(); }));
}

void HealthMonitor::on_watch_news(BackendWatch& watch, bool state_changed) {
  const bool is_first = watch.has_verdict() && awaited_verdicts_[watch.index()];
  if (is_first) {
    awaited_verdicts_[watch.index()] = false;
    --awaited_;
  }
  if (state_changed || is_first) reconsider_panic();
  if (state_changed) observer_.on_health_changed();
}

// Whom an operator has drained is neither up nor down.
HealthMonitor::Strength HealthMonitor::strength() const noexcept {
  Strength strength;
  for (const auto& watch : watches_) {
    if (config_.backends[watch->index()].backup) {
      strength.backup_is_up |= watch->is_up();
    } else if (!watch->is_drained()) {
      ++strength.all;
      strength.up += watch->is_up() ? 1 : 0;
    }
  }
  return strength;
}

// Backups come first: as long as one of them is up, nobody needs those that are down.
bool HealthMonitor::must_panic(const Strength& strength) const noexcept {
  const auto& [all, up, backup_is_up] = strength;
  if (all == 0 || (up == 0 && backup_is_up)) return false;
  return static_cast<double>(up) < config_.health.panic_threshold * static_cast<double>(all);
}

// An image before this one may have ignored health: its backends stay in use until all are looked
// at.
void HealthMonitor::go_on_with_panic() {
  if (config_.health.panic_threshold == 0) return;
  panicking_ = std::any_of(watches_.begin(), watches_.end(), [this](const auto& watch) {
    const UpstreamState& upstream = segment_.upstream(watch->upstream());
    return upstream.health() == HealthState::kDown && upstream.is_usable();
  });
  if (!panicking_) return;
  for (const auto& watch : watches_) {
    if (!config_.backends[watch->index()].backup) watch->ignore_health(true);
  }
}

void HealthMonitor::reconsider_panic() {
  if (config_.health.panic_threshold == 0 || awaited_ != 0) return;
  const Strength now = strength();
  if (must_panic(now) == panicking_) return;
  panicking_ = !panicking_;
  for (const auto& watch : watches_) {
    if (!config_.backends[watch->index()].backup) watch->ignore_health(panicking_);
  }
  if (panicking_) {
    log::warning(
        "only {} of {} backends are up, less than health.panic_threshold = {}: health is ignored "
        "and all of them get requests; see why the probes fail with `ringmaster ctl status`",
        now.up, now.all, config_.health.panic_threshold);
  } else {
    log::info("{} of {} backends are up: health counts again", now.up, now.all);
  }
  observer_.on_health_changed();
}

std::size_t HealthMonitor::try_another_address(BackendWatch& watch) {
  if (const auto next = resolver_.next_address(watch.index())) watch.look_at(*next);
  return resolver_.address_count(watch.index());
}

void HealthMonitor::on_resolved(std::size_t backend, const SocketAddress& address) {
  watches_[backend]->on_resolved(address);
}

void HealthMonitor::on_unresolved(std::size_t backend, const std::string& why) {
  watches_[backend]->on_unresolved(why);
}

}  // namespace ringmaster
