#include "master/health/backend_watch.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr Duration kMinGap{10};  // between two probes of one backend, whatever the config says
// Between two that verify reports: a storm of reports costs no more.
constexpr Duration kVerificationGap{20};
constexpr Duration kLongestTick{16};  // within which routine probes are brought together

// An earlier image of the master, or one that crashed, may have known the backend already.
HealthStateMachine inherit(const HealthConfig& config, const UpstreamState& shared, bool is_same) {
  const bool knows_since = is_same && shared.changed_at_ms() != 0;
  return {{config.rise, config.fall},
          is_same ? shared.health() : HealthState::kUnknown,
          shared.cause(),
          knows_since ? shared.changed_at_ms() : wall_clock_ms()};
}

Duration since(std::uint64_t then_ns) noexcept {
  return Duration{static_cast<std::int64_t>((monotonic_ns() - then_ns) / 1'000'000)};
}

// "200", "connected", "connect: connection refused".
std::string describe(HealthCause cause, const std::string& detail) {
  if (cause == HealthCause::kNone) return detail;
  return fmt::format("{}: {}", label(cause), detail);
}

Duration random_between(double low, double high, Duration of, std::minstd_rand& random) {
  const double factor = std::uniform_real_distribution<double>(low, high)(random);
  return Duration{static_cast<std::int64_t>(static_cast<double>(of.count()) * factor)};
}

}  // namespace

std::uint64_t place_of(const BackendConfig& backend) {
  const std::string place = backend.address();
  return XXH3_64bits(place.data(), place.size()) | 1;
}

BackendWatch::BackendWatch(uv_loop_t* loop, const Subject& subject, std::minstd_rand& random,
                           Owner& owner)
    : subject_(subject),
      loop_(loop),
      random_(random),
      owner_(owner),
      request_(make_probe_request(subject.config, subject.backend)),
      place_(place_of(subject.backend)),
      settled_(subject.shared.place() == place_),
      machine_(inherit(subject.config, subject.shared, settled_)),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
      slow_start_(loop, subject.config.slow_start, subject.shared,
                  static_cast<SlowStart::Owner&>(*this)),
      has_verdict_(machine_.is_probed()) {
  if (!settled_) return;
  address_ = subject.shared.address();
  reason_ = subject.shared.reason();
}

// In this order: nobody is sent to an address that is empty, before or after, and who dies on the
// way leaves nothing that passes for the truth about either place.
void BackendWatch::settle() {
  if (std::exchange(settled_, true)) return;
  UpstreamState& shared = subject_.shared;
  shared.set_place(UpstreamState::kNowhere);
  shared.set_ramp_began_ms(0);
  if (!address_.is_empty()) publish_address();
  if (has_verdict_ || address_.is_empty() || shared.is_drained()) {
    show();
  } else {
    shared.set_health(HealthState::kUnknown, HealthCause::kNone);
  }
  shared.explain(has_verdict_ ? machine_.since_ms() : 0, reason_);
  publish_address();
  shared.set_place(place_);
}

void BackendWatch::start(Duration delay) {
  if (settled_) answers() ? slow_start_.go_on() : slow_start_.end();
  if (has_verdict_) show();  // as this config has it, which need not be as the one before
  if (!address_.is_empty()) return probe_after(delay);
  if (!settled_) return;
  // No address, no use: said before the first answer, without calling it a change.
  subject_.shared.set_health(
      subject_.shared.is_drained() ? HealthState::kDraining : HealthState::kDown,
      HealthCause::kResolve);
}

void BackendWatch::move_to(const SocketAddress& address) {
  address_ = address;
  if (settled_) publish_address();
}

// The cells of a shared address are not used up for nothing.
void BackendWatch::publish_address() noexcept {
  if (address_ != subject_.shared.address()) subject_.shared.publish_address(address_);
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
  end_slow_start();
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
  start_timer<&BackendWatch::on_timer>(timer_, delay);
}

void BackendWatch::on_timer() {
  probe_now(verifies_);
}

void BackendWatch::probe_now(bool verifies_report) {
  uv_timer_stop(timer_.get());
  verifies_ = verifies_report;
  reported_again_ = false;
  probe_began_ns_ = monotonic_ns();
  if (first_probe_began_ns_ == 0) first_probe_began_ns_ = probe_began_ns_;
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
  if (machine_.state() == HealthState::kDown) end_slow_start();
  if (machine_.state() == HealthState::kUp && before == HealthState::kDown) begin_slow_start();
  publish(changed, last_result_);
  if (changed) log_change(before);
  log_what_was_left_out();
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
    log::error("{}: cannot be probed: {}; raise the limit on open files, memory or local ports",
               subject_.backend.name, result.detail);
  }
  probe_after(std::max(subject_.config.fast_interval, kMinGap));
}

// A name may have addresses where nothing listens (::1 beside 127.0.0.1): a backend that is not in
// use and cannot be reached is looked for at the next one, and before the first verdict at all of
// them, or those for which there is time: nobody serves before it.
bool BackendWatch::is_tried_elsewhere(const ProbeResult& result) {
  const bool unreachable =
      result.cause == HealthCause::kConnect || result.cause == HealthCause::kTimeout;
  if (!unreachable || answers()) return false;
  const std::size_t addresses = owner_.try_another_address(*this);
  const bool is_late = since(first_probe_began_ns_) >= subject_.config.timeout;
  if (machine_.is_probed() || ++addresses_tried_ >= addresses || is_late) return false;
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
  probe_after(on_common_tick(std::max(interval - since(probe_began_ns_), kMinGap)));
}

// Routine probes begin together with others that are due within a tick: where backends are many, to
// wake up costs more than to probe. Earlier rather than later, as the interval is a promise.
Duration BackendWatch::on_common_tick(Duration delay) const noexcept {
  const Duration tick = std::clamp(subject_.config.interval / 64, Duration{1}, kLongestTick);
  const Duration due = Duration{static_cast<std::int64_t>(uv_now(loop_))} + delay;
  return std::max(delay - due % tick, kMinGap);
}

void BackendWatch::publish(bool changed, const std::string& what) {
  show();
  if (!changed) return;
  const std::string grounds = machine_.grounds();
  reason_ = grounds.empty() ? what : fmt::format("{}, {}", what, grounds);
  if (settled_) subject_.shared.explain(machine_.since_ms(), reason_);
  if (machine_.state() == HealthState::kDown && !subject_.shared.is_drained()) {
    subject_.metrics.ejections[static_cast<std::size_t>(machine_.cause())].add();
  }
}

// A suspicion, and its end, change nothing for anyone: no news at the usual level.
void BackendWatch::log_change(HealthState before) {
  const std::string& name = subject_.backend.name;
  const bool is_down = machine_.state() == HealthState::kDown;
  const bool is_up = machine_.state() == HealthState::kUp && before != HealthState::kSuspect;
  if (!is_down && !is_up) {
    return log::debug("{} {}: {}", name, label(machine_.state()), reason_);
  }
  if (!lines_.admits(monotonic_ms())) return;
  if (is_down && subject_.shared.is_drained()) {
    return log::info("{}, which is drained, is down: {}{}", name, reason_, lines_.note());
  }
  if (is_down) return log::warning("{} down: {}{}", name, reason_, lines_.note());
  const auto ramp_ms = slow_start_.is_on() ? subject_.config.slow_start.count() : 0;
  log::info("{} up: {}{}{}", name, reason_,
            ramp_ms != 0 ? fmt::format("; it gets its keys back over {} ms", ramp_ms) : "",
            lines_.note());
}

// The last word on a backend must be the true one, though it may come late.
void BackendWatch::log_what_was_left_out() {
  const std::uint64_t now = monotonic_ms();
  if (!lines_.owes(now) || !lines_.admits(now)) return;
  log::warning("{} has changed often; it is {} now: {}{}", subject_.backend.name,
               label(machine_.state()), reason_, lines_.note());
}

void BackendWatch::set_drained(bool drained) {
  if (drained == subject_.shared.is_drained()) return;
  subject_.shared.set_drained(drained);
  drained_ms_ = drained ? wall_clock_ms() : 0;
  if (!drained && answers()) begin_slow_start();
  if (drained) end_slow_start();
  // Where it was before a move it gets no requests any more, either.
  if (drained && !settled_) subject_.shared.set_health(HealthState::kDraining, HealthCause::kNone);
  show();
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

void BackendWatch::ignore_health(bool ignored) {
  if (std::exchange(health_ignored_, ignored) == ignored) return;
  if (ignored) end_slow_start();
  if (has_verdict_) show();
}

void BackendWatch::show() noexcept {
  if (!settled_) return;
  const HealthState state = effective_state();
  const bool is_finishing =
      state == HealthState::kDraining && machine_.state() != HealthState::kDown;
  subject_.shared.set_health(state, is_finishing ? HealthCause::kNone : machine_.cause(), keys());
}

HealthState BackendWatch::effective_state() const noexcept {
  if (subject_.shared.is_drained()) return HealthState::kDraining;
  const HealthState state = machine_.state();
  return state == HealthState::kUp && slow_start_.is_on() ? HealthState::kSlowStart : state;
}

KeyShare BackendWatch::keys() const noexcept {
  if (subject_.shared.is_drained() || address_.is_empty()) return kNoKeys;
  if (machine_.state() == HealthState::kDown) return health_ignored_ ? kAllKeys : kNoKeys;
  return slow_start_.is_on() ? slow_start_.share() : kAllKeys;
}

// While workers use the backend where it was before a move, nothing of it begins or ends here.
void BackendWatch::begin_slow_start() {
  if (settled_ && !health_ignored_) slow_start_.begin();
}

void BackendWatch::end_slow_start() noexcept {
  if (settled_) slow_start_.end();
}

void BackendWatch::on_share_grown() {
  if (!slow_start_.is_on()) log::debug("{} gets all of its keys again", subject_.backend.name);
  show();
  owner_.on_watch_news(*this, true);
}

BackendHealth BackendWatch::health() const {
  const bool is_drained = subject_.shared.is_drained();
  return {machine_.state(),
          machine_.cause(),
          is_drained ? "drained by an operator; probes: " + reason_ : reason_,
          is_drained ? drained_ms_ : machine_.since_ms(),
          last_result_,
          last_duration_ms_,
          machine_.successes(),
          machine_.failures()};
}

}  // namespace ringmaster
