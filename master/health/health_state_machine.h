// What probes and reports make of a backend's state: the rules alone, without sockets, timers or
// clock. One for each backend, fed by its BackendWatch.
//
//   unknown ──first probe decides alone──▶ up | down
//   up ──first failure, or a worker's report──▶ suspect
//   suspect ──success──▶ up
//   suspect ──`fall` failures in a row, or one of a probe that verifies a report──▶ down
//   down ──`rise` successes in a row──▶ up
//
// Invariant: a suspect backend is still in use; only `down` takes it out.
#pragma once

#include <cstdint>
#include <string>

#include "shared/memory/upstream_state.h"

namespace ringmaster {

class HealthStateMachine {
 public:
  struct Rules {
    std::uint32_t rise;
    std::uint32_t fall;
  };

  // `inherited`: what an earlier generation left in the segment, with its cause; up and down are
  // taken over as they are, anything else begins as unknown. Times are milliseconds of whatever
  // clock the caller shows to people.
  HealthStateMachine(Rules rules, HealthState inherited, HealthCause cause,
                     std::int64_t now_ms) noexcept;

  // Each returns whether the state changed.
  // The outcome of a probe (kNone: success). `verifies_report`: it began after a worker's report.
  bool on_probe(HealthCause outcome, bool verifies_report, std::int64_t now_ms) noexcept;
  // A worker could not reach the backend. Makes an up backend suspect; the caller probes at once.
  bool on_report(std::int64_t now_ms) noexcept;
  // The backend has no address, for its name was never resolved.
  bool on_unresolved(std::int64_t now_ms) noexcept;

  HealthState state() const noexcept { return state_; }
  HealthCause cause() const noexcept { return cause_; }  // of a suspect or down; kNone else
  // When the state began. A suspicion that came to nothing does not make `up` any younger.
  std::int64_t since_ms() const noexcept { return since_ms_; }
  std::uint32_t successes() const noexcept { return successes_; }  // in a row
  std::uint32_t failures() const noexcept { return failures_; }    // in a row
  // False as long as the next probe decides alone.
  bool is_probed() const noexcept { return probed_; }
  // The state is in doubt: the next probe should follow after the fast interval.
  bool is_in_doubt() const noexcept;
  // What the latest change rests on: "2 of 2", "first probe", "after a worker's report", or
  // nothing. To be asked when it happens: the counts go on.
  std::string grounds() const;

 private:
  enum class Grounds : std::uint8_t { kNone, kFirstProbe, kCount, kReport };

  bool on_success(std::int64_t now_ms) noexcept;
  bool on_failure(HealthCause outcome, bool verifies_report, std::int64_t now_ms) noexcept;
  bool enter(HealthState state, HealthCause cause, std::int64_t now_ms) noexcept;

  // Constant after construction.
  const Rules rules_;
  // Owned.
  HealthState state_;
  HealthCause cause_;
  Grounds grounds_ = Grounds::kNone;
  bool probed_;  // false: the next probe decides alone
  std::int64_t since_ms_;
  std::int64_t up_since_ms_;
  std::uint32_t successes_ = 0;
  std::uint32_t failures_ = 0;
};

}  // namespace ringmaster
