#include "master/backend_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr Duration kMinGap{10};  // between two probes of one backend, whatever the config says
constexpr Duration kVerificationGap{
    20};  // between two that verify reports: a storm of reports costs no more

// An earlier image of the master, or one that crashed, may have known the backend already.
std::int64_t inherited_since(const UpstreamState& shared) noexcept {
  return shared.changed_at_ms() != 0 ? shared.changed_at_ms() : wall_clock_ms();
}

Duration since(std::uint64_t then_ns) noexcept {
  return Duration{static_cast<std::int64_t>((monotonic_ns() - then_ns) / 1'000'000)};
}

// "200", "connected", "connect: connection refused".
std::string describe(HealthCause cause, const std::string& detail) {
  if (cause == HealthCause::kNone) return detail;
  return fmt::format("{}: {}", kHealthCauseLabels[static_cast<std::size_t>(cause)], detail);
}

Duration random_between(double low, double high, Duration of, std::minstd_rand& random) {
  const double factor = std::uniform_real_distribution<double>(low, high)(random);
  return Duration{static_cast<std::int64_t>(static_cast<double>(of.count()) * factor)};
}

}  // namespace

BackendWatch::BackendWatch(uv_loop_t* loop, const Subject& subject, std::minstd_rand& random,
                           Owner& owner)
    : subject_(subject),
      loop_(loop),
      random_(random),
      owner_(owner),
      request_(make_probe_request(subject.config, subject.backend)),
      machine_({subject.config.rise, subject.config.fall}, subject.shared.health(),
               inherited_since(subject.shared)),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
      address_(subject.shared.address()),
      reason_(subject.shared.reason()),
      has_verdict_(machine_.is_probed()) {}

void BackendWatch::start(Duration delay) {
  if (!address_.is_empty()) return probe_after(delay);
  // No address, no use: said before the first answer, without calling it a change.
  subject_.shared.set_health(
      subject_.shared.is_drained() ? HealthState::kDraining : HealthState::kDown,
      HealthCause::kResolve);
}

void BackendWatch::move_to(const SocketAddress& address) {
  address_ = address;
  // The cells of a shared address are not used up for nothing.
  if (address != subject_.shared.address()) subject_.shared.publish_address(address);
}

void BackendWatch::on_resolved(const SocketAddress& address) {
  move_to(address);
  addresses_tried_ = 0;
  probe_now(false);
}

void BackendWatch::on_unresolved(const std::string& why) {
  subject_.metrics.health_checks[static_cast<std::size_t>(HealthCause::kResolve)].add();
  last_result_ = describe(HealthCause::kResolve, why);
  has_verdict_ = true;
  const HealthState before = machine_.state();
  const bool changed = machine_.on_unresolved(wall_clock_ms());
  publish(changed, last_result_);
  if (changed) log_change(before);
  owner_.on_watch_news(*this, changed);
}

void BackendWatch::on_report() {
  if (address_.is_empty()) return;
  if (machine_.state() != HealthState::kUp && machine_.state() != HealthState::kSuspect) return;
  const bool verifying = verifies_ && probe_ != nullptr && !probe_->is_done();
  if (verifying) {
    // That probe may have asked before the trouble that is reported now: it does not clear the
    // backend.
    reported_again_ = true;
    return;
  }
  const bool changed = machine_.on_report(wall_clock_ms());
  publish(changed, "reported by a worker");
  verify_report();
  owner_.on_watch_news(*this, changed);
}

// A routine probe under way is given up: it began before the report and proves nothing against it.
void BackendWatch::verify_report() {
  const Duration gap = since(verification_began_ns_);
  if (gap >= kVerificationGap) return probe_now(true);
  probe_.reset();
  verifies_ = true;
  probe_after(kVerificationGap - gap);
}

void BackendWatch::probe_after(Duration delay) {
  const auto tick = [](uv_timer_t* timer) noexcept {
    if (auto* self = owner_of<BackendWatch>(timer)) self->on_timer();
  };
  uv_timer_start(timer_.get(), tick, static_cast<std::uint64_t>(delay.count()), 0);
}

void BackendWatch::on_timer() {
  probe_now(verifies_);
}

void BackendWatch::probe_now(bool verifies_report) {
  uv_timer_stop(timer_.get());
  verifies_ = verifies_report;
  reported_again_ = false;
  probe_began_ns_ = monotonic_ns();
  if (verifies_report) verification_began_ns_ = probe_began_ns_;
  probe_ = std::make_unique<HealthProbe>(loop_, subject_.config, address_, request_,
                                         static_cast<HealthProbe::Owner&>(*this));
}

void BackendWatch::on_probe_done(const ProbeResult& result) {
  if (result.is_ours) return retry_for_want(result);
  short_of_means_ = false;
  last_duration_ms_ = static_cast<double>(monotonic_ns() - probe_began_ns_) / 1e6;
  last_result_ = describe(result.cause, result.detail);
  subject_.metrics.health_checks[static_cast<std::size_t>(result.cause)].add();
  if (is_tried_elsewhere(result)) return;
  if (result.cause == HealthCause::kNone) move_to(address_);

  const bool had_verdict = std::exchange(has_verdict_, true);
  const HealthState before = machine_.state();
  const bool verified = std::exchange(verifies_, false);
  bool changed = machine_.on_probe(result.cause, verified, wall_clock_ms());
  publish(changed, last_result_);
  if (changed) log_change(before);
  if (std::exchange(reported_again_, false) && machine_.on_report(wall_clock_ms())) {
    publish(true, "reported by a worker");
    changed = before != machine_.state();
    verify_report();
  } else {
    schedule_next(had_verdict);
  }
  owner_.on_watch_news(*this, changed);
}

void BackendWatch::retry_for_want(const ProbeResult& result) {
  if (!std::exchange(short_of_means_, true)) {
    log::error("{}: cannot be probed: {}; raise the limit on open files or memory",
               subject_.backend.name, result.detail);
  }
  probe_after(std::max(subject_.config.fast_interval, kMinGap));
}

// A name may have addresses where nothing listens (::1 beside 127.0.0.1): a backend that is not in
// use and cannot be reached is looked for at the next one, and before the first verdict at all of
// them.
bool BackendWatch::is_tried_elsewhere(const ProbeResult& result) {
  const bool unreachable =
      result.cause == HealthCause::kConnect || result.cause == HealthCause::kTimeout;
  if (!unreachable || answers()) return false;
  const std::size_t addresses = owner_.try_another_address(*this);
  if (machine_.is_probed() || ++addresses_tried_ >= addresses) return false;
  probe_now(false);
  return true;
}

// After a first verdict the next probe follows at a random moment of the interval, and each later
// interval is up to a tenth longer or shorter: probes of many backends never fall into step.
void BackendWatch::schedule_next(bool had_verdict) {
  const HealthConfig& config = subject_.config;
  if (machine_.is_in_doubt()) return probe_after(std::max(config.fast_interval, kMinGap));
  const Duration interval = had_verdict ? random_between(0.9, 1.1, config.interval, random_)
                                        : random_between(0.1, 1.0, config.interval, random_);
  probe_after(std::max(interval - since(probe_began_ns_), kMinGap));
}

void BackendWatch::publish(bool changed, const std::string& what) {
  subject_.shared.set_health(effective_state(), machine_.cause());
  if (!changed) return;
  const std::string grounds = machine_.grounds();
  reason_ = grounds.empty() ? what : fmt::format("{}, {}", what, grounds);
  subject_.shared.explain(machine_.since_ms(), reason_);
  if (machine_.state() == HealthState::kDown) {
    subject_.metrics.ejections[static_cast<std::size_t>(machine_.cause())].add();
  }
}

// A suspicion, and its end, change nothing for anyone: no news at the usual level.
void BackendWatch::log_change(HealthState before) const {
  const std::string& name = subject_.backend.name;
  if (machine_.state() == HealthState::kDown) {
    log::warning("{} down: {}", name, reason_);
  } else if (machine_.state() == HealthState::kUp && before != HealthState::kSuspect) {
    log::info("{} up: {}", name, reason_);
  } else {
    log::debug("{} {}: {}", name, kHealthStateLabels[static_cast<std::size_t>(machine_.state())],
               reason_);
  }
}

void BackendWatch::set_drained(bool drained) {
  if (drained == subject_.shared.is_drained()) return;
  subject_.shared.set_drained(drained);
  subject_.shared.set_health(effective_state(), machine_.cause());
  log::info(
      "{} {}", subject_.backend.name,
      drained ? "drained by an operator: it gets no new requests" : "put back by an operator");
  owner_.on_watch_news(*this, true);
}

bool BackendWatch::answers() const noexcept {
  return machine_.state() == HealthState::kUp || machine_.state() == HealthState::kSuspect;
}

bool BackendWatch::is_up() const noexcept {
  return answers() && !subject_.shared.is_drained();
}

HealthState BackendWatch::effective_state() const noexcept {
  return subject_.shared.is_drained() ? HealthState::kDraining : machine_.state();
}

BackendHealth BackendWatch::health() const {
  return {machine_.state(),     machine_.cause(),   reason_,
          machine_.since_ms(),  last_result_,       last_duration_ms_,
          machine_.successes(), machine_.failures()};
}

}  // namespace ringmaster
