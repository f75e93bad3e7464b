#include "master/health/health_state_machine.h"

#include <utility>

namespace ringmaster {
namespace {

// Draining is the operator's business; underneath, the backend is unknown. One that starts slowly
// is up.
HealthState initial_state(HealthState inherited) noexcept {
  switch (inherited) {
    case HealthState::kUp:
    case HealthState::kSlowStart:
      return HealthState::kUp;
    case HealthState::kSuspect:
      return HealthState::kSuspect;
    case HealthState::kDown:
      return HealthState::kDown;
    default:
      return HealthState::kUnknown;
  }
}

}  // namespace

HealthStateMachine::HealthStateMachine(Rules rules, HealthState inherited, HealthCause cause,
                                       std::int64_t now_ms) noexcept
    : rules_(rules),
      state_(initial_state(inherited)),
      cause_(state_ == HealthState::kDown || state_ == HealthState::kSuspect ? cause
                                                                             : HealthCause::kNone),
      probed_(state_ != HealthState::kUnknown),
      since_ms_(now_ms),
      up_since_ms_(now_ms),
      // How many it was, the image before took along: one more is enough, or reloads that come
      // often enough would keep a dead backend.
      failures_(state_ == HealthState::kSuspect ? rules.fall - 1 : 0) {}

bool HealthStateMachine::on_probe(HealthCause outcome, bool verifies_report,
                                  std::int64_t now_ms) noexcept {
  if (outcome == HealthCause::kNone) {
    ++successes_;
    failures_ = 0;
    return on_success(now_ms);
  }
  ++failures_;
  successes_ = 0;
  return on_failure(outcome, verifies_report, now_ms);
}

bool HealthStateMachine::on_success(std::int64_t now_ms) noexcept {
  const bool first = !std::exchange(probed_, true);
  if (state_ == HealthState::kUp) return false;
  if (state_ == HealthState::kDown && !first && successes_ < rules_.rise) return false;
  grounds_ = first                             ? Grounds::kFirstProbe
             : state_ == HealthState::kSuspect ? Grounds::kNone
                                               : Grounds::kCount;
  return enter(HealthState::kUp, HealthCause::kNone, now_ms);
}

bool HealthStateMachine::on_failure(HealthCause outcome, bool verifies_report,
                                    std::int64_t now_ms) noexcept {
  const bool first = !std::exchange(probed_, true);
  if (state_ == HealthState::kDown) {
    cause_ = outcome;  // the latest reason is the one to mend
    return false;
  }
  if (first || verifies_report || failures_ >= rules_.fall) {
    grounds_ = first ? Grounds::kFirstProbe : verifies_report ? Grounds::kReport : Grounds::kCount;
    return enter(HealthState::kDown, outcome, now_ms);
  }
  grounds_ = Grounds::kCount;
  return enter(HealthState::kSuspect, outcome, now_ms);
}

bool HealthStateMachine::on_report(std::int64_t now_ms) noexcept {
  if (state_ != HealthState::kUp) return false;
  grounds_ = Grounds::kNone;
  return enter(HealthState::kSuspect, HealthCause::kNone, now_ms);
}

bool HealthStateMachine::on_unresolved(std::int64_t now_ms) noexcept {
  grounds_ = Grounds::kNone;
  return enter(HealthState::kDown, HealthCause::kResolve, now_ms);
}

bool HealthStateMachine::enter(HealthState state, HealthCause cause, std::int64_t now_ms) noexcept {
  cause_ = cause;
  if (state_ == state) return false;
  if (state == HealthState::kUp && state_ != HealthState::kSuspect) up_since_ms_ = now_ms;
  since_ms_ = state == HealthState::kUp ? up_since_ms_ : now_ms;
  state_ = state;
  return true;
}

bool HealthStateMachine::is_in_doubt() const noexcept {
  return state_ == HealthState::kSuspect || (state_ == HealthState::kDown && successes_ > 0);
}

std::string HealthStateMachine::grounds() const {
  switch (grounds_) {
    case Grounds::kNone:
      return {};
    case Grounds::kFirstProbe:
      return "first probe";
    case Grounds::kReport:
      return "after a worker's report";
    case Grounds::kCount:
      break;
  }
  const bool rising = state_ == HealthState::kUp;
  return std::to_string(rising ? successes_ : failures_) + " of " +
         std::to_string(rising ? rules_.rise : rules_.fall);
}

}  // namespace ringmaster
